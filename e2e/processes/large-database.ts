// `--large-megabytes N`: what must not depend on the size of the database. A node that was killed is ready again soon; a new member takes everything by snapshot
// while writes go on, and neither their latency nor anybody's memory shows it.
import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '../apiserver/wait-until.ts'
import { resultsOf } from './api-client.ts'
import type { ApiClient } from './api-client.ts'
import type { Check } from './checks.ts'
import { ClusterOfProcesses } from './cluster-of-processes.ts'
import { MemoryWatch } from './memory-of-processes.ts'
import type { NodeProcess } from './node-process.ts'
import { makeTables } from './random-faults.ts'
import { sureWrite } from './sure-write.ts'
import { fateOf } from './writer.ts'

const readyMsMax = 2_000
const latencyP99MsMax = 100
const residentBytesMax = 300 * 1024 * 1024
const writesPerSecond = 200
// Short against the processor time that a write may take.
const rowsPerStatement = 2_500
const bytesPerRow = 4_000
const joinDeadlineMs = 600_000
/** It only ends what hangs: the machine may be loaded. */
const answerMsMax = 120_000
/** More would only pile up where the machine takes fewer than are wanted. */
const openMax = 64

export async function runLargeDatabase(options: {
  readonly megabytes: number
  readonly say: (line: string) => void
}): Promise<readonly Check[]> {
  const { say, megabytes } = options
  const cluster = await ClusterOfProcesses.start({ nodes: 3, spares: 1, flags: ['-raft-snap', '64', '-raft-snap-int', '1s'] })
  try {
    await makeTables(cluster)
    await fill(cluster, megabytes, say)
    const readyMs = await restart(cluster)
    say(`ready ${readyMs.map((ms) => ms.toFixed(0)).join(', ')} ms after the start, with ${megabytes} MB`)
    const joined = await joinUnderLoad(cluster, say)
    return [
      {
        title: `a killed node is ready within ${readyMsMax} ms`,
        isFigure: true,
        faults: Math.max(...readyMs) <= readyMsMax ? [] : [readyMs.map(String).join(', ')],
      },
      { title: 'a new member has everything, and writes go on meanwhile', faults: joined.faults },
      { title: 'no write is refused or left open meanwhile', isFigure: true, faults: joined.failed === 0 ? [] : [`${joined.failed}`] },
      {
        title: `writes take at most ${latencyP99MsMax} ms at p99 meanwhile`,
        isFigure: true,
        faults: joined.p99Ms <= latencyP99MsMax ? [] : [`${joined.p99Ms.toFixed(0)} ms`],
      },
      {
        title: `no process has more than ${residentBytesMax / 1024 / 1024} MB in memory meanwhile`,
        isFigure: true,
        faults: Array.from(joined.memory).flatMap(([id, bytes]) => (bytes <= residentBytesMax ? [] : [`${id}: ${megabytesOf(bytes)} MB`])),
      },
    ]
  } catch (error) {
    say(cluster.logTails())
    throw error
  } finally {
    await cluster.close()
  }
}

async function fill(cluster: ClusterOfProcesses, megabytes: number, say: (line: string) => void): Promise<void> {
  const [node] = cluster.nodes
  if (node === undefined) throw new Error('no node')
  const client = cluster.client(node)
  await sureWrite(client, ['CREATE TABLE IF NOT EXISTS large (id INTEGER PRIMARY KEY, v TEXT)'])
  const statements = Math.ceil((megabytes * 1024 * 1024) / (rowsPerStatement * bytesPerRow))
  const text = 'x'.repeat(bytesPerRow)
  const insert = `WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM c WHERE n < ${rowsPerStatement}) INSERT INTO large(id, v) SELECT ? + n, n || ? FROM c WHERE true ON CONFLICT DO NOTHING`
  for (let n = 1; n <= statements; n += 1) {
    await sureWrite(client, [[insert, n * rowsPerStatement, text]])
    if (n % 40 === 0) say(`filled ${n} of ${statements}`)
  }
}

/** Of one follower, three times. */
async function restart(cluster: ClusterOfProcesses): Promise<readonly number[]> {
  const leader = await cluster.whoLeads()
  const follower = cluster.nodes.find((node) => node !== leader)
  if (follower === undefined) throw new Error('no follower')
  const readyMs: number[] = []
  for (let time = 0; time < 3; time += 1) {
    await follower.end('SIGKILL')
    const startedMs = performance.now()
    follower.start()
    await cluster.whenReady([follower])
    readyMs.push(performance.now() - startedMs)
  }
  return readyMs
}

async function joinUnderLoad(
  cluster: ClusterOfProcesses,
  say: (line: string) => void,
): Promise<{
  readonly faults: readonly string[]
  readonly failed: number
  readonly p99Ms: number
  readonly memory: ReadonlyMap<string, number>
}> {
  const leader = await cluster.whoLeads()
  const lost = cluster.nodes.find((node) => node !== leader)
  if (lost === undefined) throw new Error('one node')
  const client = cluster.client(leader, undefined, { connectionsMax: 64 })
  await lost.end('SIGKILL')
  const spare = cluster.replace(lost)
  await waitUntil({ what: `${lost.id} is removed`, deadlineMs: joinDeadlineMs }, async () => {
    const removed = await client.send({ method: 'DELETE', path: '/remove', body: { id: lost.id }, timeoutMs: answerMsMax })
    return removed.kind === 'reply' && removed.status === 200 ? true : undefined
  })
  // A log that reaches back to the beginning would be played to the newcomer instead.
  for (const node of cluster.nodes.filter(({ isRunning }) => isRunning)) await compact(cluster, node)
  const memory = new MemoryWatch(() => cluster.nodes)
  const latenciesMs: number[] = []
  const faults: string[] = []
  let failed = 0
  const stop = new AbortController()
  const writing = (async () => {
    const open = new Set<Promise<void>>()
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const sentMs = performance.now()
      const body = [['INSERT INTO writes(writer, n) VALUES(0, ?)', n]]
      const write = client.send({ path: '/db/execute', body, timeoutMs: answerMsMax }).then((answer) => {
        const fate = fateOf(answer)
        if (fate === 'acknowledged') latenciesMs.push(performance.now() - sentMs)
        else failed += 1
      })
      const over = write.catch((error: unknown) => void faults.push(String(error))).finally(() => open.delete(over))
      open.add(over)
      await delay(1000 / writesPerSecond)
      while (open.size >= openMax) await Promise.race(open)
    }
    await Promise.all(open)
  })()
  try {
    say(`${spare.id} had everything after ${((await join(cluster, { spare, client })) / 1000).toFixed(1)} s`)
  } finally {
    // Whoever still writes or looks would never be done.
    stop.abort()
    memory.stop()
  }
  await writing
  if (latenciesMs.length === 0) faults.push('no write was acknowledged')
  if (!spare.log().includes('a snapshot has replaced the database')) faults.push(`${spare.id} got no snapshot`)
  const most = memory.stop()
  const sorted = latenciesMs.toSorted((a, b) => a - b)
  const share = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? Infinity
  say(
    `writes meanwhile: ${sorted.length}, ${failed} refused or left open, p50 ${share(0.5).toFixed(1)} ms, p99 ${share(0.99).toFixed(1)} ms, longest ${share(1).toFixed(0)} ms`,
  )
  say(`most in memory: ${Array.from(most, ([id, bytes]) => `${id} ${megabytesOf(bytes)} MB`).join(', ')}`)
  return { faults: faults.slice(0, 10), failed, p99Ms: share(0.99), memory: most }
}

/** Starts the spare; gives how long it took, in milliseconds, until it had everything. */
async function join(
  cluster: ClusterOfProcesses,
  { spare, client }: { readonly spare: NodeProcess; readonly client: ApiClient },
): Promise<number> {
  const startedMs = performance.now()
  spare.start()
  const newcomer = cluster.client(spare)
  const count = 'SELECT count(*) FROM large'
  const wanted = await waitUntil({ what: 'the count', deadlineMs: joinDeadlineMs }, () => countOf(client, count))
  await waitUntil({ what: `${spare.id} has everything`, deadlineMs: joinDeadlineMs }, async () => {
    if (!spare.isRunning) throw new Error(`${spare.id} ended:\n${spare.logTail()}`)
    const ready = await newcomer.send({ path: '/readyz', timeoutMs: 5000 })
    return ready.kind === 'reply' && ready.status === 200 && (await countOf(newcomer, count)) === wanted ? true : undefined
  })
  return performance.now() - startedMs
}

async function compact(cluster: ClusterOfProcesses, node: NodeProcess): Promise<void> {
  const client = cluster.client(node)
  await waitUntil({ what: `${node.id} has shortened its log`, deadlineMs: joinDeadlineMs }, async () => {
    const answer = await client.send({ method: 'POST', path: '/snapshot?trailing_logs=1', timeoutMs: answerMsMax })
    return answer.kind === 'reply' && (answer.status === 200 || answer.status === 204) ? true : undefined
  })
}

async function countOf(client: ApiClient, sql: string): Promise<number | undefined> {
  const answer = await client.send({ path: '/db/query?level=none', body: [sql], timeoutMs: 60_000 })
  const value = answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values?.[0]?.[0] : undefined
  return value === undefined ? undefined : Number(value)
}

function megabytesOf(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0)
}
