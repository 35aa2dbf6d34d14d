// `npm run bench [-- --seconds 5]`: writes per second at 1, 16, 64 and 256 clients, rows per second of requests with many statements, queued writes, and reads at every level, of a three-node TLS cluster on this machine, next to two probes
// taken in the same run. Prints a table and keeps the figures in bench/results/<date>-<commit>.json.
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { basicAuthorization, resultsOf } from '../e2e/processes/api-client.ts'
import type { ApiClient } from '../e2e/processes/api-client.ts'
import { ClusterOfProcesses, admin } from '../e2e/processes/cluster-of-processes.ts'
import type { NodeProcess } from '../e2e/processes/node-process.ts'
import { keepFigures } from './keep-figures.ts'
import type { LoadOrder, LoadReport } from './load-order.ts'
import { runLoad } from './load.ts'
import { measuredWrite, tableOfWrites } from './measured-write.ts'
import { appendsPerSecond, startBareServer } from './probes.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '4' } } })
const measureMs = Math.min(10, Math.max(1, Number(values.seconds))) * 1000
const warmUpMs = 1000
// Of the cluster, once: V8 compiles what is hot over the first 20,000 writes or so, and until then one costs up to twice as much. The bare server has answered more than that
// before it is measured with 64 clients.
const clusterWarmUpMs = 10_000
const clientCounts = [1, 16, 64, 256]
const readClients = 16
const bulkStatements = 100
const bulkClientCounts = [1, 16, 64]
const queueClients = 64
// It only ends what hangs.
const flushMsMax = 60_000

interface Row extends LoadReport {
  readonly what: string
  /** `perSecond` counts these; everything else is of requests. */
  readonly counted: 'requests' | 'rows'
  readonly clients: number
  /** Next to the probe or measurement that limits it. */
  readonly ratio: { readonly to: string; readonly value: number } | undefined
}

const authorization = basicAuthorization(admin)
const bulk = { path: '/db/execute', body: Array.from({ length: bulkStatements }, () => measuredWrite.body[0]) }
const queued = { path: '/db/execute?queue', body: measuredWrite.body }
const read = (level: string): Pick<LoadOrder, 'path' | 'body'> => ({
  path: `/db/query?level=${level}`,
  body: [['SELECT v FROM bench WHERE id = ?', 1]],
})

const rows: Row[] = []
console.log(line('', 'clients', 'per s', 'p50 ms', 'p99 ms', 'ratio'))
const appends = appendsPerSecond(measureMs / 2)
const bare = await measureBare()
await measureCluster()
report()

function load(order: Omit<LoadOrder, 'warmUpMs' | 'measureMs' | 'authorization'> & { readonly measureMs?: number }): Promise<LoadReport> {
  return runLoad({ measureMs, ...order, authorization, warmUpMs })
}

async function measureBare(): Promise<ReadonlyMap<number, number>> {
  const server = await startBareServer()
  const perClients = new Map<number, number>()
  try {
    for (const clients of clientCounts) {
      const measured = await load({ ports: [server.port], ca: server.ca, clients, ...measuredWrite })
      perClients.set(clients, measured.perSecond)
      add(`probe: bare node:https POST`, clients, measured, undefined)
    }
  } finally {
    await server.close()
  }
  return perClients
}

async function measureCluster(): Promise<void> {
  const cluster = await ClusterOfProcesses.start({ nodes: 3 })
  try {
    const { leader, follower } = await roles(cluster)
    const client = cluster.client(leader)
    const created = await client.send({
      path: '/db/execute',
      body: [tableOfWrites, "INSERT INTO bench VALUES(1, 'one')"],
    })
    if (created.kind !== 'reply' || created.status !== 200) throw new Error(`no table: ${JSON.stringify(created)}`)
    const ca = cluster.files.apiCa
    await load({ ports: [leader.apiPort], ca, clients: 64, ...measuredWrite, measureMs: clusterWarmUpMs })
    for (const clients of clientCounts) {
      const measured = await load({ ports: [leader.apiPort], ca, clients, ...measuredWrite })
      const ratio =
        clients === 1 ? ratioTo('4 KiB append+fdatasync', measured, appends) : ratioTo('bare https', measured, bare.get(clients))
      add('write, on the leader', clients, measured, ratio)
    }
    add('write, through a follower', 64, await load({ ports: [follower.apiPort], ca, clients: 64, ...measuredWrite }), undefined)
    for (const clients of bulkClientCounts) {
      const measured = await load({ ports: [leader.apiPort], ca, clients, ...bulk })
      add(`rows, ${bulkStatements} a request, on the leader`, clients, inRows(measured, bulkStatements), undefined)
    }
    for (const [where, node] of [
      ['on the leader', leader],
      ['through a follower', follower],
    ] as const) {
      const measured = await measureQueue(cluster, node)
      add(`queued write, ${where}`, queueClients, measured.load, undefined)
      console.log(line('  of them in the table (ms: the last ones)', '', String(measured.written), String(measured.flushMs)))
    }
    const local = await load({ ports: [leader.apiPort], ca, clients: readClients, ...read('none') })
    add('read none, on the leader', readClients, local, undefined)
    for (const level of ['weak', 'linearizable', 'strong']) {
      const measured = await load({ ports: [leader.apiPort], ca, clients: readClients, ...read(level) })
      add(`read ${level}, on the leader`, readClients, measured, ratioTo('read none', measured, local.perSecond))
    }
    const remote = await load({ ports: [follower.apiPort], ca, clients: readClients, ...read('linearizable') })
    add('read linearizable, through a follower', readClients, remote, ratioTo('read none', remote, local.perSecond))
  } finally {
    await cluster.close()
  }
}

/** What is accepted is not yet written: the rows are counted when the queue has been emptied. */
async function measureQueue(
  cluster: ClusterOfProcesses,
  node: NodeProcess,
): Promise<{ readonly load: LoadReport; readonly written: number; readonly flushMs: number }> {
  const client = cluster.client(node)
  const before = await countRows(client)
  const beganMs = performance.now()
  const measured = await load({ ports: [node.apiPort], ca: cluster.files.apiCa, clients: queueClients, ...queued })
  const flushFromMs = performance.now()
  const flushed = await client.send({ path: '/db/execute?queue&wait', body: [], timeoutMs: flushMsMax })
  if (flushed.kind !== 'reply' || flushed.status !== 200) throw new Error(`not flushed: ${JSON.stringify(flushed)}`)
  const endedMs = performance.now()
  const rows = (await countRows(client)) - before
  if (rows < measured.requests) throw new Error(`${measured.requests} queued writes were accepted, ${rows} are in the table`)
  const seconds = (endedMs - beganMs) / 1000
  return { load: measured, written: Math.round(rows / seconds), flushMs: Math.round(endedMs - flushFromMs) }
}

async function countRows(client: ApiClient): Promise<number> {
  const answer = await client.send({ path: '/db/query?level=linearizable', body: ['SELECT count(*) FROM bench'] })
  const count = answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values?.[0]?.[0] : undefined
  if (typeof count !== 'number') throw new Error(`no count: ${JSON.stringify(answer)}`)
  return count
}

function inRows(measured: LoadReport, rowsPerRequest: number): LoadReport & { readonly counted: 'rows' } {
  return { ...measured, perSecond: measured.perSecond * rowsPerRequest, counted: 'rows' }
}

async function roles(cluster: ClusterOfProcesses): Promise<{ readonly leader: NodeProcess; readonly follower: NodeProcess }> {
  const leader = await cluster.leader()
  const follower = cluster.nodes.find((node) => node !== leader)
  if (leader === undefined || follower === undefined) throw new Error('the cluster has no leader')
  return { leader, follower }
}

function ratioTo(to: string, measured: LoadReport, base: number | undefined): Row['ratio'] {
  return base === undefined || base === 0 ? undefined : { to, value: Math.round((measured.perSecond / base) * 1000) / 1000 }
}

function add(what: string, clients: number, measured: LoadReport & Partial<Pick<Row, 'counted'>>, ratio: Row['ratio']): void {
  rows.push({ counted: 'requests', what, clients, ...measured, ratio })
  console.log(
    line(
      what,
      String(clients),
      String(measured.perSecond),
      `${measured.p50Ms}`,
      `${measured.p99Ms}`,
      [ratio === undefined ? '' : `${ratio.value} × ${ratio.to}`, measured.refused === 0 ? '' : `${measured.refused} refused`].join('  '),
    ),
  )
}

function line(...[what = '', clients = '', perSecond = '', p50 = '', p99 = '', ratio = '']: readonly string[]): string {
  return `${what.padEnd(40)}${clients.padStart(8)}${perSecond.padStart(10)}${p50.padStart(10)}${p99.padStart(10)}  ${ratio}`
}

function report(): void {
  console.log(line('probe: 4 KiB append + fdatasync', '1', String(appends)))
  const commit = gitCommit()
  const figures = {
    date: new Date().toISOString(),
    commit,
    machine: { cpus: cpus().length, model: cpus()[0]?.model ?? '', memoryBytes: totalmem(), loadAverage: loadavg(), node: process.version },
    probes: { appendsPerSecond: appends },
    measureMs,
    rows,
  }
  keepFigures(`${figures.date.slice(0, 10)}-${commit}`, figures)
}

function gitCommit(): string {
  try {
    const options = { cwd: import.meta.dirname, encoding: 'utf8' } as const
    const dirty = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], options).trim() !== ''
    return `${execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).trim()}${dirty ? '-dirty' : ''}`
  } catch {
    // An exported tree has no history; the figures still count.
    return 'unknown'
  }
}
