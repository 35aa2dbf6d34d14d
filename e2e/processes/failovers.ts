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
  } finally {
    await cluster.close()
  }
}

async function killLeaders(cluster: ClusterOfProcesses, { failovers, say }: FailoverOptions): Promise<readonly Check[]> {
  const gapsMs: number[] = []
  for (let round = 0; round < failovers; round += 1) {
    const leader = await cluster.leader()
    if (leader === undefined) throw new Error('the cluster has no leader')
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
  const endMs = performance.now() + 60_000
  return await Promise.any(
    clients.map(async (client) => {
      while (performance.now() < endMs) {
        if (isAcknowledged(await write(client, round))) return performance.now()
        await delay(5)
      }
      throw new Error('no write was acknowledged within a minute')
    }),
  )
}

async function handOver(cluster: ClusterOfProcesses, { transfers, say }: FailoverOptions): Promise<readonly Check[]> {
  if (transfers === 0) return []
  const clients = cluster.nodes.map((node) => cluster.client(node))
  const acknowledgedMs: number[] = []
  const failures: string[] = []
  const stop = new AbortController()
  const writers = Array.from({ length: writersDuringTransfer }, async (_, writer) => {
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const client = clients[(writer + n) % clients.length]
      if (client === undefined) throw new Error('a writer needs a client')
      const answer = await write(client, n)
      if (isAcknowledged(answer)) acknowledgedMs.push(performance.now())
      else failures.push(JSON.stringify(answer).slice(0, 200))
      await delay(2)
    }
  })
  const gapsMs: number[] = []
  for (let round = 0; round < transfers; round += 1) {
    const leader = await cluster.leader()
    if (leader === undefined) throw new Error('the cluster has no leader')
    await delay(300)
    const askedMs = performance.now()
    const answer = await cluster.client(leader).send({ method: 'POST', path: '/leader', body: {} })
    if (answer.kind !== 'reply' || answer.status !== 200) failures.push(`transfer: ${JSON.stringify(answer).slice(0, 200)}`)
    await delay(300)
    gapsMs.push(longestGapMs(acknowledgedMs, { fromMs: askedMs - 50, toMs: performance.now() }))
  }
  stop.abort()
  await Promise.all(writers)
  say(
    `planned transfer, longest gap between acknowledged writes, ms: ${describe(gapsMs)}; ${failures.length} failed requests of ${acknowledgedMs.length}`,
  )
  return [
    { title: 'no request fails while leadership is handed over', faults: failures.slice(0, 10) },
    {
      title: `writes pause for at most ${transferP99MsMax} ms at p99 while leadership is handed over`,
      isFigure: true,
      faults: at(gapsMs, 0.99) <= transferP99MsMax ? [] : [describe(gapsMs)],
    },
  ]
}

function longestGapMs(acknowledgedMs: readonly number[], window: { readonly fromMs: number; readonly toMs: number }): number {
  const within = acknowledgedMs.filter((ms) => ms >= window.fromMs && ms <= window.toMs).toSorted((a, b) => a - b)
  let longest = 0
  for (const [position, ms] of within.entries()) longest = Math.max(longest, ms - (within[position - 1] ?? window.fromMs))
  return longest
}

function write(client: ApiClient, n: number): Promise<ApiAnswer> {
  return client.send({ path: '/db/execute', body: [['INSERT INTO writes(writer, n) VALUES(99, ?)', n]] })
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
