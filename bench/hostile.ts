// `node bench/hostile.ts [--pairs 12] [--only 'endless reads']`: what another user's hostile statements cost a light load (50 small reads and 50 small writes a second, through a follower of three). A
// machine with other work makes every figure its own, so what is compared lies side by side: short windows, in turns without and with the hostile clients, and the median of
// the ratios within such pairs.
import { loadavg } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { ApiClient } from '../e2e/processes/api-client.ts'
import { ClusterOfProcesses } from '../e2e/processes/cluster-of-processes.ts'
import type { NodeProcess } from '../e2e/processes/node-process.ts'

const windowMs = 3_000
const everyMs = 20
/** A process that was killed has gone by then, and another one stands ready. */
const calmMs = 500
const hostileClients = 4
const mallory = { name: 'mallory', password: 'means no good whatever', permissions: ['query', 'execute'] as const }
const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)'
const hostile = {
  'endless reads': { path: '/db/query?level=weak&db_timeout=1s', body: [`${many} SELECT count(*) FROM n`] },
  'huge reads': { path: '/db/query?level=weak&db_timeout=1s', body: [`${many} SELECT length(group_concat(i)) FROM n`] },
  'endless writes': { path: '/db/execute?timeout=30s', body: [`${many} INSERT INTO t(v) SELECT i FROM n WHERE i < 0`] },
  'growing writes': { path: '/db/execute?timeout=30s', body: [`${many} INSERT INTO t(v) SELECT zeroblob(1000) FROM n`] },
} as const

interface Window {
  readonly reads: readonly number[]
  readonly writes: readonly number[]
}

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '12' }, only: { type: 'string' } } })
const pairs = Number(values.pairs)
const cluster = await ClusterOfProcesses.start({ nodes: 3, users: [mallory] })
try {
  const leader = await cluster.leader()
  const follower = cluster.nodes.find(({ id }) => id !== leader?.id)
  if (leader === undefined || follower === undefined) throw new Error('no leader')
  const light = cluster.client(follower)
  await light.send({ path: '/db/execute', body: ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)', 'INSERT INTO t(v) VALUES (1)'] })
  await measure(light)
  console.log('median of the ratios within pairs, and milliseconds of all windows together: alone, beside')
  for (const [name, request] of Object.entries(hostile)) {
    if (values.only !== undefined && values.only !== name) continue
    const alone: Window[] = []
    const beside: Window[] = []
    for (let n = 0; n < pairs; n += 1) {
      // Which comes first changes, so that neither gains by what a window leaves behind.
      for (const isBeside of n % 2 === 0 ? [false, true] : [true, false]) {
        if (isBeside) beside.push(await during(leader, request, () => measure(light)))
        else alone.push(await measure(light))
        await delay(calmMs)
      }
    }
    report(name, alone, beside)
  }
} finally {
  await cluster.close()
}

async function during(
  leader: NodeProcess,
  request: { readonly path: string; readonly body: readonly string[] },
  work: () => Promise<Window>,
): Promise<Window> {
  const clients = Array.from({ length: hostileClients }, () => cluster.client(leader, mallory))
  const state = { isOver: false }
  const attacks = clients.map(async (client) => {
    while (!state.isOver) {
      const answer = await client.send({ ...request, timeoutMs: 60_000 })
      if (answer.kind === 'reply' && answer.code === undefined) throw new Error(`not hostile at all: ${answer.body.slice(0, 200)}`)
    }
  })
  await delay(calmMs)
  const window = await work()
  state.isOver = true
  // The nodes end what nobody waits for.
  for (const client of clients) client.close()
  await Promise.all(attacks)
  return window
}

/** By an own clock: a slow answer must not slow down the asking. */
async function measure(client: ApiClient): Promise<Window> {
  const reads: number[] = []
  const writes: number[] = []
  const asked: Promise<void>[] = []
  for (let n = 0; n < windowMs / everyMs; n += 1) {
    asked.push(time(reads, client, '/db/query?level=weak', ['SELECT v FROM t WHERE id = ?', 1]))
    asked.push(time(writes, client, '/db/execute', ['INSERT INTO t(v) VALUES (?)', n]))
    await delay(everyMs)
  }
  await Promise.all(asked)
  return { reads, writes }
}

async function time(into: number[], client: ApiClient, path: string, statement: readonly unknown[]): Promise<void> {
  const startedAtMs = performance.now()
  const answer = await client.send({ path, body: [statement], timeoutMs: 60_000 })
  if (answer.kind !== 'reply' || answer.status !== 200 || answer.body.includes('error'))
    throw new Error(`a small request failed: ${JSON.stringify(answer)}`)
  into.push(performance.now() - startedAtMs)
}

function report(name: string, alone: readonly Window[], beside: readonly Window[]): void {
  for (const kind of ['reads', 'writes'] as const) {
    const figures = [0.5, 0.99].map((share) => {
      const ratios = beside.map((window, n) => at(window[kind], share) / at(alone[n]?.[kind] ?? [], share))
      const together = [alone, beside].map((windows) =>
        at(
          windows.flatMap((window) => window[kind]),
          share,
        ).toFixed(1),
      )
      return `p${100 * share} ×${at(ratios, 0.5).toFixed(2)} (${together.join(', ')})`
    })
    console.log(`${name.padEnd(15)} ${kind.padEnd(6)} ${figures.join('   ')}   load ${loadavg()[0]?.toFixed(1)}`)
  }
}

function at(times: readonly number[], share: number): number {
  const sorted = times.toSorted((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
