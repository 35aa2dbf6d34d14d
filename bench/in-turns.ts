// `node bench/in-turns.ts --with ../other-checkout [--rounds 9] [--clients 64,256]`: whether writes have become faster or slower since another checkout of this project. Both clusters
// run at the same time and get the same load in short turns, and what counts is the median of the ratios within the rounds: a machine with neighbours changes its own speed by
// half within minutes, so two runs of `npm run bench` one after the other say little. V8 compiles each process a little differently, and it stays so: the same code on both sides may
// differ by a tenth. So run it several times, and the other way round as well.
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { basicAuthorization } from '../e2e/processes/api-client.ts'
import type { ClusterOfProcesses } from '../e2e/processes/cluster-of-processes.ts'
import type { NodeProcess } from '../e2e/processes/node-process.ts'
import { keepFigures } from './keep-figures.ts'
import { runLoad } from './load.ts'
import { measuredWrite, tableOfWrites } from './measured-write.ts'

const { values } = parseArgs({
  options: { with: { type: 'string' }, rounds: { type: 'string', default: '9' }, clients: { type: 'string', default: '64,256' } },
})
if (values.with === undefined) throw new Error('with which checkout? --with DIRECTORY')
const rounds = Number(values.rounds)
const clientCounts = values.clients.split(',').map(Number)
/** V8 compiles what is hot over the first 20,000 writes or so. */
const coldMs = 10_000
const warmUpMs = 500
const measureMs = 2_000

interface Turn {
  readonly clients: number
  readonly perSecond: number
  readonly p99Ms: number
  /** Processor time of a write, in microseconds. */
  readonly leader: number
  readonly followers: number
}

interface Side {
  readonly commit: string
  readonly cluster: ClusterOfProcesses
  readonly leader: NodeProcess
  readonly authorization: string
  readonly turns: Turn[]
}

const here = await start(join(import.meta.dirname, '..'))
const there = await start(resolve(values.with))
try {
  for (const side of [here, there]) await turn(side, 64, coldMs)
  for (let round = 0; round < rounds; round += 1)
    // Which comes first changes, so that neither gains by what a turn leaves behind.
    for (const clients of clientCounts)
      for (const side of round % 2 === 0 ? [here, there] : [there, here]) side.turns.push(await turn(side, clients, measureMs))
  report()
} finally {
  for (const { cluster } of [here, there]) await cluster.close()
}

async function start(root: string): Promise<Side> {
  const url = pathToFileURL(join(root, 'e2e/processes/cluster-of-processes.ts')).href
  const module = (await import(url)) as typeof import('../e2e/processes/cluster-of-processes.ts')
  const cluster = await module.ClusterOfProcesses.start({ nodes: 3 })
  const leader = await cluster.leader()
  if (leader === undefined) throw new Error('no leader')
  await cluster.client(leader).send({ path: '/db/execute', body: [tableOfWrites] })
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' }).trim()
  return { commit, cluster, leader, authorization: basicAuthorization(module.admin), turns: [] }
}

async function turn({ cluster, leader, authorization }: Side, clients: number, lastsMs: number): Promise<Turn> {
  const before = cluster.nodes.map(processorMicroseconds)
  const common = { ports: [leader.apiPort], ca: cluster.files.apiCa, authorization, clients, warmUpMs, measureMs: lastsMs }
  const { perSecond, p99Ms } = await runLoad({ ...common, ...measuredWrite })
  const writes = (perSecond * (warmUpMs + lastsMs)) / 1000
  const took = cluster.nodes.map((node, at) => (processorMicroseconds(node) - (before[at] ?? 0)) / writes)
  const ofLeader = took[cluster.nodes.indexOf(leader)] ?? 0
  return { clients, perSecond, p99Ms, leader: ofLeader, followers: took.reduce((sum, one) => sum + one, 0) - ofLeader }
}

/** Of all its threads: https://docs.kernel.org/scheduler/sched-stats.html */
function processorMicroseconds({ pid }: NodeProcess): number {
  const tasks = join('/proc', String(pid), 'task')
  return readdirSync(tasks).reduce(
    (sum, task) => sum + Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]) / 1000,
    0,
  )
}

function report(): void {
  for (const clients of clientCounts) {
    const [ours, theirs] = [here, there].map(({ turns }) => turns.filter((one) => one.clients === clients))
    for (const figure of ['perSecond', 'p99Ms', 'leader', 'followers'] as const) {
      const [a, b] = [ours, theirs].map((turns) => (turns ?? []).map((one) => one[figure]))
      const ratios = (a ?? []).map((one, at) => one / (b?.[at] ?? NaN))
      console.log(
        `${clients} clients, ${figure}: here ${median(a ?? []).toFixed(0)}, there ${median(b ?? []).toFixed(0)}, ratio ${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
      )
    }
  }
  const minute = new Date().toISOString().slice(0, 16).replace(':', '')
  keepFigures(`${minute}-in-turns`, { here: kept(here), there: kept(there), loadAverage: loadavg() })
}

function kept({ commit, turns }: Side): Pick<Side, 'commit' | 'turns'> {
  return { commit, turns }
}

function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((left, right) => left - right)
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2
}
