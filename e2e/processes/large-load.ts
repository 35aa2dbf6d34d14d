// `--load-megabytes N`: a file of that size sent to a follower, while others read and write, and one node is killed in the middle. Nobody's memory shows its size, no
// request but those of the killed node fails, and at the end every node has the file and nothing else.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { waitUntil } from '../apiserver/wait-until.ts'
import { resultsOf } from './api-client.ts'
import type { Check } from './checks.ts'
import { ClusterOfProcesses } from './cluster-of-processes.ts'
import { sendFile } from './file-client.ts'
import { MemoryWatch } from './memory-of-processes.ts'
import type { NodeProcess } from './node-process.ts'
import { sureWrite } from './sure-write.ts'

const residentBytesMax = 500 * 1024 * 1024
const deadlineMs = 600_000
const bytesPerRow = 4_000

export interface LargeLoadOptions {
  readonly megabytes: number
  /** Which of the three is killed while the file is on its way. */
  readonly victim: 'follower' | 'leader'
  readonly say: (line: string) => void
}

export async function runLargeLoad({ megabytes, victim, say }: LargeLoadOptions): Promise<readonly Check[]> {
  const folder = mkdtempSync(join(tmpdir(), 'large-load-'))
  const cluster = await ClusterOfProcesses.start({ nodes: 3 })
  try {
    const path = join(folder, 'file.sqlite')
    const rows = makeFile(path, megabytes)
    const leader = await cluster.whoLeads()
    const [receiver, other] = cluster.nodes.filter((node) => node !== leader)
    if (receiver === undefined || other === undefined) throw new Error('three nodes')
    await sureWrite(cluster.client(receiver), ['CREATE TABLE IF NOT EXISTS before_load (n)'])
    const killed = victim === 'leader' ? leader : other
    const memory = new MemoryWatch(() => cluster.nodes)
    const service = serveMeanwhile(cluster, receiver)
    const startedAtMs = performance.now()
    const loading = sendFile(cluster, receiver, { path, to: '/db/load' })
    const answer = await killInTheMiddle(killed, receiver, loading)
      .then(() => loading)
      .catch(async (error: unknown) => {
        // Whoever still asks or looks would never be done.
        memory.stop()
        await service.stop()
        throw error
      })
    const seconds = (performance.now() - startedAtMs) / 1000
    const served = await service.stop()
    const most = memory.stop()
    say(
      `${(statSync(path).size / 1e6).toFixed(0)} MB loaded in ${seconds.toFixed(1)} s, the ${victim} killed in the middle: ${answer.status} ${answer.body}`,
    )
    say(`meanwhile ${served.count} reads and writes, longest ${served.longestMs.toFixed(0)} ms`)
    say(`most in memory: ${Array.from(most, ([id, bytes]) => `${id} ${(bytes / 2 ** 20).toFixed(0)} MB`).join(', ')}`)
    return [
      { title: 'the file was loaded', faults: answer.body === '{"results":[]}' ? [] : [`${answer.status} ${answer.body}`] },
      { title: 'every node has it and nothing else', faults: await differences(cluster, rows) },
      { title: 'reads and writes went on', faults: served.count > 0 ? served.faults : ['none was answered'] },
      {
        title: 'no process has more than 500 MB in memory',
        isFigure: true,
        faults: Array.from(most).flatMap(([id, bytes]) => (bytes <= residentBytesMax ? [] : [`${id}: ${bytes} bytes`])),
      },
    ]
  } catch (error) {
    say(cluster.logTails())
    throw error
  } finally {
    await cluster.close()
    rmSync(folder, { recursive: true })
  }
}

function makeFile(path: string, megabytes: number): number {
  const rows = Math.ceil((megabytes * 1e6) / bytesPerRow)
  const database = new Database(path)
  database.exec('CREATE TABLE loaded (id INTEGER PRIMARY KEY, v BLOB)')
  database.exec(
    `WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < ${rows}) INSERT INTO loaded SELECT n, randomblob(${bytesPerRow}) FROM s`,
  )
  database.close()
  return rows
}

/** Once the receiver has said that the steps have begun. */
async function killInTheMiddle(victim: NodeProcess, receiver: NodeProcess, loading: Promise<unknown>): Promise<void> {
  const begun = waitUntil({ what: 'the load begins', deadlineMs, everyMs: 10 }, () =>
    Promise.resolve(receiver.log().includes('load begins') ? true : undefined),
  )
  await Promise.race([begun, loading])
  await victim.end('SIGKILL')
  victim.start()
}

/** A read and a write at a time, on the node that receives the file; outcomes that are unknown because the leader is gone are no fault. */
function serveMeanwhile(
  cluster: ClusterOfProcesses,
  node: NodeProcess,
): { stop(): Promise<{ count: number; longestMs: number; faults: readonly string[] }> } {
  const client = cluster.client(node)
  const stop = new AbortController()
  let count = 0
  let longestMs = 0
  const faults: string[] = []
  const running = (async () => {
    while (!stop.signal.aborted) {
      const startedAtMs = performance.now()
      for (const asked of [
        { path: '/db/execute', body: ['CREATE TABLE IF NOT EXISTS meanwhile (n)', 'INSERT INTO meanwhile VALUES (1)'] },
        { path: '/db/query', body: ['SELECT count(*) FROM sqlite_schema'] },
      ]) {
        const answer = await client.send({ ...asked, timeoutMs: 60_000 })
        const isUnknown = answer.kind === 'reply' && answer.code === 'outcome_unknown'
        if (!isUnknown && (answer.kind !== 'reply' || answer.status !== 200)) faults.push(JSON.stringify(answer).slice(0, 200))
      }
      count += 1
      longestMs = Math.max(longestMs, performance.now() - startedAtMs)
      await delay(20)
    }
  })()
  return {
    stop: async () => {
      stop.abort()
      await running
      return { count, longestMs, faults: faults.slice(0, 5) }
    },
  }
}

async function differences(cluster: ClusterOfProcesses, rows: number): Promise<readonly string[]> {
  await cluster.whenReady()
  const faults: string[] = []
  for (const node of cluster.nodes) {
    const client = cluster.client(node)
    const wanted = [rows, 0]
    const shown = await waitUntil({ what: `${node.id} has the file`, deadlineMs }, async () => {
      const answer = await client.send({
        path: '/db/query?level=none&db_timeout=60s&timeout=60s',
        body: ["SELECT (SELECT count(*) FROM loaded), (SELECT count(*) FROM sqlite_schema WHERE name = 'before_load')"],
        timeoutMs: 60_000,
      })
      const values = answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values?.[0] : undefined
      return values
    })
    if (JSON.stringify(shown) !== JSON.stringify(wanted)) faults.push(`${node.id}: ${JSON.stringify(shown)}`)
  }
  return faults
}
