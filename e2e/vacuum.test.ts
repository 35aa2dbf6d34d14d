// -auto-vacuum-int in a cluster of real processes: files shrink while others write, one node has no room and is no different, one is killed meanwhile.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { fingerprintDatabase } from '../node/store/database-fingerprint.ts'
import { waitUntil } from './apiserver/wait-until.ts'
import type { ApiClient } from './processes/api-client.ts'
import { ClusterOfProcesses } from './processes/cluster-of-processes.ts'
import type { NodeProcess } from './processes/node-process.ts'

const deadlineMs = 120_000
const everyMs = 200
const rows = 4_000
const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO bulk SELECT zeroblob(2000) FROM n`

async function execute(client: ApiClient, ...statements: readonly string[]): Promise<void> {
  const answer = await client.send({ path: '/db/execute?timeout=60s', body: statements, timeoutMs: 90_000 })
  assert(answer.kind === 'reply' && answer.status === 200 && !answer.body.includes('error'), JSON.stringify(answer))
}

/** A file system on which a second copy never has room, in the place of the node's folder; false: none can be mounted here. */
function mountSmall(dataDir: string): boolean {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  return spawnSync('/usr/bin/mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=0700', 'tmpfs', dataDir]).status === 0
}

test('with -auto-vacuum-int files shrink while others write; a node without room, and one that is killed, are no different in the end', async () => {
  const cluster = await ClusterOfProcesses.prepare({ nodes: 3, flags: ['-auto-vacuum-int', '4s'] })
  const dataDirOf = (node: NodeProcess): string => cluster.filesOf(node).dataDir
  const [first, killed, small] = cluster.nodes
  assert(first && killed && small)
  const isSmall = mountSmall(dataDirOf(small))
  try {
    for (const node of cluster.nodes) node.start()
    await cluster.whenReady()
    const client = cluster.client(first)
    await execute(client, 'CREATE TABLE bulk (b)', 'CREATE TABLE kept (n)')
    await execute(client, fill)
    const stop = new AbortController()
    let acknowledged = 0
    const writing = (async () => {
      while (!stop.signal.aborted) {
        await execute(client, `INSERT INTO kept VALUES (${acknowledged})`)
        acknowledged += 1
        await delay(20)
      }
    })()
    await execute(client, 'DELETE FROM bulk WHERE rowid % 8 > 0')
    await killed.end('SIGKILL')
    killed.start()
    const isShort = (node: NodeProcess): boolean => statSync(join(dataDirOf(node), 'db.sqlite')).size < rows * 500
    await waitUntil({ what: 'the files are shorter', deadlineMs, everyMs }, () =>
      Promise.resolve((isShort(first) && isShort(killed)) || undefined),
    )
    await cluster.whenReady()
    stop.abort()
    await writing
    for (const node of cluster.nodes) {
      const own = cluster.client(node)
      await waitUntil({ what: `${node.id} has applied everything`, deadlineMs, everyMs }, async () => {
        const answer = await own.send({ path: '/db/query?level=none&q=SELECT%20count(*)%20FROM%20kept' })
        return (answer.kind === 'reply' && answer.body.includes(`[[${acknowledged}]]`)) || undefined
      })
    }
    for (const node of cluster.nodes) await node.end('SIGTERM')
    const hashes = cluster.nodes.map((node) => fingerprintDatabase(join(dataDirOf(node), 'db.sqlite')).hash)
    assert.equal(new Set(hashes).size, 1)
    assert(acknowledged > 0)
    if (!isSmall) return
    assert.match(readFileSync(cluster.filesOf(small).logFile, 'utf8'), /VACUUM was left out/)
    const database = new Database(join(dataDirOf(small), 'db.sqlite'), { readonly: true })
    assert(Number(database.pragma('freelist_count', { simple: true })) * 4096 > rows * 1000)
    database.close()
  } finally {
    if (isSmall) {
      await small.end('SIGKILL').catch(() => {})
      spawnSync('/usr/bin/umount', ['-l', dataDirOf(small)])
    }
    await cluster.close()
  }
})
