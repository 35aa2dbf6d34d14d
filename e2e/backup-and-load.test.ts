// Files in and out of a running cluster, with real processes: a backup while others write, and a load while others read and write and a node is killed.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { waitUntil } from './apiserver/wait-until.ts'
import { resultsOf } from './processes/api-client.ts'
import { ClusterOfProcesses, patientTimers } from './processes/cluster-of-processes.ts'
import { fetchFile } from './processes/file-client.ts'
import { sureWrite } from './processes/sure-write.ts'
import { runLargeLoad } from './processes/large-load.ts'

const writers = 4
/** Together 200 a second, where the machine has room for it. */
const pauseMs = (writers * 1000) / 200

test('a backup that is taken while others write is sound, and a prefix of what was committed that holds all that was acknowledged before it began', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'backup-under-writes-'))
  const cluster = await ClusterOfProcesses.start({ nodes: 3, flags: patientTimers })
  try {
    const [first] = cluster.nodes
    assert.ok(first)
    await sureWrite(cluster.client(first), ['CREATE TABLE IF NOT EXISTS w (id INTEGER PRIMARY KEY, v TEXT)'])
    let newest = 0
    const stop = new AbortController()
    const writing = Array.from({ length: writers }, async (_, position) => {
      const client = cluster.client(cluster.nodes[position % 3] ?? first)
      while (!stop.signal.aborted) {
        // The id is given in the order of the log.
        const answer = await client.send({ path: '/db/execute', body: ["INSERT INTO w(v) VALUES ('x')"], timeoutMs: 120_000 })
        const id = answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.last_insert_id : undefined
        assert.ok(id !== undefined, JSON.stringify(answer))
        newest = Math.max(newest, id)
        await delay(pauseMs)
      }
    })
    const taken: { readonly path: string; readonly acknowledged: number }[] = []
    for (const node of cluster.nodes) {
      const before = newest
      const written = waitUntil({ what: 'writes go on', deadlineMs: 120_000, everyMs: 20 }, () =>
        Promise.resolve(newest >= before + 40 || undefined),
      )
      await Promise.race([written, ...writing])
      const path = join(folder, `${node.id}.sqlite`)
      const acknowledged = newest
      assert.equal(await fetchFile(cluster, node, { path, from: '/db/backup?timeout=60s' }), 200)
      taken.push({ path, acknowledged })
    }
    stop.abort()
    await Promise.all(writing)
    for (const { path, acknowledged } of taken) {
      const database = new Database(path)
      assert.equal(database.pragma('integrity_check', { simple: true }), 'ok')
      const { count, last } = database.prepare('SELECT count(*) AS count, max(id) AS last FROM w').get() as { count: number; last: number } // two integers
      database.close()
      assert.equal(count, last, 'a prefix has no gaps')
      assert.ok(acknowledged > 0 && last >= acknowledged && last <= newest, `${acknowledged} <= ${last} <= ${newest}`)
    }
  } finally {
    await cluster.close()
    rmSync(folder, { recursive: true })
  }
})

test('a file is loaded through a follower while others read and write, though the leader is killed in the middle', async () => {
  const lines: string[] = []
  const checks = await runLargeLoad({ megabytes: 12, victim: 'leader', say: (line) => lines.push(line) })
  for (const { title, faults, isFigure } of checks) if (isFigure !== true) assert.deepEqual(faults, [], `${title}\n${lines.join('\n')}`)
})
