// `node bench/hostile.ts`: what another user's hostile statements cost a light load (50 small reads and 50 small writes a second, through a follower of three): endless
// reads, then endless writes, on and on, between two measurements of the light load alone.
import { loadavg } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from '../e2e/processes/api-client.ts'
import { ClusterOfProcesses } from '../e2e/processes/cluster-of-processes.ts'

const measureMs = 10_000
const everyMs = 20
const mallory = { name: 'mallory', password: 'means no good whatever', permissions: ['query', 'execute'] as const }
const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)'
const hostile = {
  'endless reads': { path: '/db/query?level=weak&db_timeout=2s', body: [`${many} SELECT count(*) FROM n`] },
  'huge reads': { path: '/db/query?level=weak&db_timeout=2s', body: [`${many} SELECT length(group_concat(i)) FROM n`] },
  'endless writes': { path: '/db/execute?timeout=30s', body: [`${many} INSERT INTO t SELECT i FROM n`] },
} as const
const hostileClients = 4

const cluster = await ClusterOfProcesses.start({ nodes: 3, users: [mallory] })
try {
  const leader = await cluster.leader()
  const follower = cluster.nodes.find(({ id }) => id !== leader?.id)
  if (leader === undefined || follower === undefined) throw new Error('no leader')
  const light = cluster.client(follower)
  await light.send({ path: '/db/execute', body: ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)', 'INSERT INTO t(v) VALUES (1)'] })
  console.log(`load ${loadavg()[0]?.toFixed(1)}`)
  await measure('warming up', light)
  await measure('alone', light)
  for (const [name, request] of Object.entries(hostile)) {
    const ending = new AbortController()
    const attackers = Array.from({ length: hostileClients }, () => attack(cluster.client(leader, mallory), request, ending.signal))
    await delay(1_000)
    await measure(`beside ${name}`, light)
    ending.abort()
    await Promise.all(attackers)
  }
  await measure('alone', light)
} finally {
  await cluster.close()
}

async function attack(
  client: ApiClient,
  request: { readonly path: string; readonly body: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) await client.send({ ...request, timeoutMs: 60_000 })
}

/** By an own clock: a slow answer must not slow down the asking. */
async function measure(what: string, client: ApiClient): Promise<void> {
  const reads: number[] = []
  const writes: number[] = []
  const asked: Promise<void>[] = []
  for (let n = 0; n < measureMs / everyMs; n += 1) {
    asked.push(time(reads, client, '/db/query?level=weak', ['SELECT v FROM t WHERE id = ?', 1]))
    asked.push(time(writes, client, '/db/execute', ['INSERT INTO t(v) VALUES (?)', n]))
    await delay(everyMs)
  }
  await Promise.all(asked)
  console.log(`${what.padEnd(24)} read ${summary(reads)}   write ${summary(writes)}   load ${loadavg()[0]?.toFixed(1)}`)
}

async function time(into: number[], client: ApiClient, path: string, statement: readonly unknown[]): Promise<void> {
  const startedAtMs = performance.now()
  const answer = await client.send({ path, body: [statement], timeoutMs: 60_000 })
  if (answer.kind !== 'reply' || answer.status !== 200 || answer.body.includes('error'))
    throw new Error(`a small request failed: ${JSON.stringify(answer)}`)
  into.push(performance.now() - startedAtMs)
}

function summary(times: readonly number[]): string {
  const sorted = times.toSorted((left, right) => left - right)
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
  return `p50 ${at(0.5)} p99 ${at(0.99)} most ${at(1)} ms`
}
