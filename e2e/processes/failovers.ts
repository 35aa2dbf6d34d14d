// `--failovers N`: how long until writes are acknowledged again after kill -9 of the leader, N times at default timers, and how long the gap is when leadership is
// handed over as planned, with every failed request counted.
import { setTimeout as delay } from 'node:timers/promises'
import type { Check } from './checks.ts'
import { ClusterOfProcesses } from './cluster-of-processes.ts'
import { resultsOf } from './api-client.ts'
import type { ApiAnswer, ApiClient } from './api-client.ts'
import { makeTables } from './random-faults.ts'

const p95MsMax = 2_500
const maxMs = 5_000
const p50MsMax = 500
const transferP99MsMax = 100
const writersDuringTransfer = 4
/** Rounds into which an election falls that nobody asked for: as many are done again. On a machine with nothing else to do there is none. */
const disturbedMax = 40
/** They only end what hangs: the machine may be loaded. */
const serviceMsMax = 180_000
const answerMsMax = 90_000

export interface FailoverOptions {
  readonly failovers: number
  readonly transfers: number
  readonly say: (line: string) => void
}

export async function runFailovers(options: FailoverOptions): Promise<readonly Check[]> {
  const cluster = await ClusterOfProcesses.start({ nodes: 3 })
  try {
    await makeTables(cluster)
    const kills = await killLeaders(cluster, options)
    const transfers = await handOver(cluster, options)
    return [...kills, ...transfers]
  } catch (error) {
    options.say(cluster.logTails())
    throw error
  } finally {
    await cluster.close()
  }
}

async function killLeaders(cluster: ClusterOfProcesses, { failovers, say }: FailoverOptions): Promise<readonly Check[]> {
  const gapsMs: number[] = []
  for (let round = 0; round < failovers; round += 1) {
    const leader = await cluster.whoLeads()
    const survivors = cluster.nodes.filter((node) => node !== leader).map((node) => cluster.client(node))
    // Connections are there already, as an application's would be.
    for (const client of survivors) await write(client, -1)
    const killedMs = performance.now()
    await leader.end('SIGKILL')
    gapsMs.push((await firstAcknowledged(survivors, round)) - killedMs)
    leader.start()
    await cluster.whenReady()
    for (const client of survivors) client.close()
    if ((round + 1) % 20 === 0) say(`${round + 1} of ${failovers} failovers: ${describe(gapsMs)}`)
  }
  say(`failover after kill -9, ms: ${describe(gapsMs)}`)
  if (failovers === 0) return []
  return [
    {
      title: `the first write is acknowledged within ${p95MsMax} ms at p95`,
      isFigure: true,
      faults: at(gapsMs, 0.95) <= p95MsMax ? [] : [describe(gapsMs)],
    },
    {
      title: `the first write is acknowledged within ${maxMs} ms at most`,
      isFigure: true,
      faults: at(gapsMs, 1) <= maxMs ? [] : [describe(gapsMs)],
    },
    {
      title: `the first write is acknowledged within ${p50MsMax} ms at p50`,
      isFigure: true,
      faults: at(gapsMs, 0.5) <= p50MsMax ? [] : [describe(gapsMs)],
    },
  ]
}

/** Asks every survivor at once, again and again; the nodes hold a request until they know a leader. */
async function firstAcknowledged(clients: readonly ApiClient[], round: number): Promise<number> {
  const endMs = performance.now() + serviceMsMax
  return await Promise.any(
    clients.map(async (client) => {
      while (performance.now() < endMs) {
        if (isAcknowledged(await write(client, round))) return performance.now()
        await delay(5)
      }
      throw new Error(`no write was acknowledged within ${serviceMsMax / 1000} s`)
    }),
  )
}

interface Span {
  readonly fromMs: number
  readonly toMs: number
}

async function handOver(cluster: ClusterOfProcesses, { transfers, say }: FailoverOptions): Promise<readonly Check[]> {
  if (transfers === 0) return []
  const clients = cluster.nodes.map((node) => cluster.client(node))
  const acknowledgedMs: number[] = []
  const failed: (Span & { readonly what: string })[] = []
  const stop = new AbortController()
  const writers = Array.from({ length: writersDuringTransfer }, async (_, writer) => {
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const client = clients[(writer + n) % clients.length]
      if (client === undefined) throw new Error('a writer needs a client')
      const fromMs = performance.now()
      const answer = await write(client, n)
      const toMs = performance.now()
      if (isAcknowledged(answer)) acknowledgedMs.push(toMs)
      else failed.push({ fromMs, toMs, what: JSON.stringify(answer).slice(0, 200) })
      await delay(2)
    }
  })
  const { gapsMs, disturbed, refused } = await transferOften(cluster, { transfers, acknowledgedMs }).finally(() => stop.abort())
  await Promise.all(writers)
  // An election that nobody asked for may leave open what became of the writes into which it fell.
  const failures = failed.filter((one) => !disturbed.some((span) => one.toMs >= span.fromMs && one.fromMs <= span.toMs))
  say(
    `planned transfer, longest gap between acknowledged writes, ms: ${describe(gapsMs)}; ${failures.length} failed requests of ${acknowledgedMs.length}; ${disturbed.length} rounds with an election of its own`,
  )
  return [
    {
      title: 'no request fails while leadership is handed over',
      faults: [
        ...(gapsMs.length < transfers ? [`only ${gapsMs.length} of ${transfers} transfers came about: ${refused.at(-1) ?? ''}`] : []),
        ...failures.slice(0, 10).map(({ what }) => what),
      ],
    },
    {
      title: `writes pause for at most ${transferP99MsMax} ms at p99 while leadership is handed over`,
      isFigure: true,
      faults: at(gapsMs, 0.99) <= transferP99MsMax ? [] : [describe(gapsMs)],
    },
  ]
}

interface Transfers {
  /** Of each that was the only change of leaders in its time. */
  readonly gapsMs: readonly number[]
  /** When there was another change, or the transfer did not come about: a candidate or a leader stood still, as they may on a busy machine. */
  readonly disturbed: readonly Span[]
  readonly refused: readonly string[]
}

async function transferOften(
  cluster: ClusterOfProcesses,
  { transfers, acknowledgedMs }: { readonly transfers: number; readonly acknowledgedMs: readonly number[] },
): Promise<Transfers> {
  const gapsMs: number[] = []
  const disturbed: Span[] = []
  const refused: string[] = []
  let fromMs = performance.now()
  let term = await termOf(cluster)
  while (gapsMs.length < transfers && disturbed.length < disturbedMax) {
    const leader = await cluster.whoLeads()
    await delay(300)
    const askedMs = performance.now()
    const answer = await cluster.client(leader).send({ method: 'POST', path: '/leader', body: {}, timeoutMs: answerMsMax })
    const isDone = answer.kind === 'reply' && answer.status === 200
    if (!isDone) refused.push(JSON.stringify(answer).slice(0, 200))
    await delay(300)
    const toMs = performance.now()
    // Each election has a term of its own.
    const newTerm = await termOf(cluster)
    if (isDone && newTerm === term + 1) gapsMs.push(longestGapMs(acknowledgedMs, { fromMs: askedMs - 50, toMs }))
    else disturbed.push({ fromMs, toMs: performance.now() })
    fromMs = toMs
    term = newTerm
  }
  return { gapsMs, disturbed, refused }
}

/** Of the leader; the highest that any node knows. */
async function termOf(cluster: ClusterOfProcesses): Promise<number> {
  await cluster.whoLeads()
  const stores = await Promise.all(cluster.nodes.map((node) => cluster.store(node)))
  return Math.max(...stores.map((store) => store?.raft.term ?? 0))
}

function longestGapMs(acknowledgedMs: readonly number[], window: Span): number {
  const within = acknowledgedMs.filter((ms) => ms >= window.fromMs && ms <= window.toMs).toSorted((a, b) => a - b)
  let longest = 0
  for (const [position, ms] of within.entries()) longest = Math.max(longest, ms - (within[position - 1] ?? window.fromMs))
  return longest
}

function write(client: ApiClient, n: number): Promise<ApiAnswer> {
  return client.send({ path: '/db/execute', body: [['INSERT INTO writes(writer, n) VALUES(99, ?)', n]], timeoutMs: answerMsMax })
}

function isAcknowledged(answer: ApiAnswer): boolean {
  return answer.kind === 'reply' && resultsOf(answer)?.results[0]?.rows_affected === 1
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil(share * sorted.length) - 1] ?? 0
}

function describe(values: readonly number[]): string {
  return `p50 ${at(values, 0.5).toFixed(0)}, p95 ${at(values, 0.95).toFixed(0)}, p99 ${at(values, 0.99).toFixed(0)}, longest ${at(values, 1).toFixed(0)} (${values.length})`
}
