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
import { ClusterOfProcesses, patientTimers } from './processes/cluster-of-processes.ts'
import type { NodeProcess } from './processes/node-process.ts'
import { sureWrite } from './processes/sure-write.ts'

const deadlineMs = 240_000
const everyMs = 200
const rows = 4_000
const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO bulk(rowid, b) SELECT i, zeroblob(2000) FROM n WHERE true ON CONFLICT DO NOTHING`

/** False: it may have been carried out or not, because an election fell into it. */
async function execute(client: ApiClient, ...statements: readonly string[]): Promise<boolean> {
  const answer = await client.send({ path: '/db/execute?timeout=60s', body: statements, timeoutMs: 90_000 })
  return answer.kind === 'reply' && answer.status === 200 && !answer.body.includes('error')
}

async function countOf(client: ApiClient): Promise<number> {
  const answer = await client.send({ path: '/db/query?level=none&q=SELECT%20count(*)%20FROM%20kept' })
  return answer.kind === 'reply' ? Number(/\[\[(\d+)\]\]/.exec(answer.body)?.[1] ?? -1) : -1
}

/** A file system on which a second copy never has room, in the place of the node's folder; false: none can be mounted here. */
function mountSmall(dataDir: string): boolean {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  return spawnSync('/usr/bin/mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=0700', 'tmpfs', dataDir]).status === 0
}

test('with -auto-vacuum-int files shrink while others write; a node without room, and one that is killed, are no different in the end', async () => {
  const cluster = await ClusterOfProcesses.prepare({ nodes: 3, flags: ['-auto-vacuum-int', '4s', ...patientTimers] })
  const dataDirOf = (node: NodeProcess): string => cluster.filesOf(node).dataDir
  const [one, other, small] = cluster.nodes
  assert(one && other && small)
  const isSmall = mountSmall(dataDirOf(small))
  try {
    for (const node of cluster.nodes) node.start()
    await cluster.whenReady()
    const [asked, killed] = (await cluster.whoLeads()) === other ? [other, one] : [one, other]
    const client = cluster.client(asked)
    await sureWrite(client, ['CREATE TABLE IF NOT EXISTS bulk (b)', 'CREATE TABLE IF NOT EXISTS kept (n)'])
    await sureWrite(client, [fill])
    const stop = new AbortController()
    let acknowledged = 0
    const writing = (async () => {
      while (!stop.signal.aborted) {
        if (await execute(client, `INSERT INTO kept VALUES (${acknowledged})`)) acknowledged += 1
        await delay(20)
      }
    })()
    await sureWrite(client, ['DELETE FROM bulk WHERE rowid % 8 > 0'])
    await killed.end('SIGKILL')
    killed.start()
    const vacuumsOf = (node: NodeProcess): number => node.log().split('the database was written anew').length - 1
    const nodes = [asked, killed].map((node) => ({ node, before: vacuumsOf(node) }))
    // The first of them may stand before the DELETE in the log.
    await waitUntil({ what: 'VACUUM has run', deadlineMs, everyMs }, () =>
      Promise.resolve(nodes.every(({ node, before }) => vacuumsOf(node) >= before + 2) || undefined),
    )
    await cluster.whenReady()
    stop.abort()
    await writing
    const clients = cluster.nodes.map((node) => cluster.client(node))
    await waitUntil({ what: 'all have applied everything', deadlineMs, everyMs }, async () => {
      const counts = await Promise.all(clients.map((own) => countOf(own)))
      return counts.every((count) => count === counts[0] && count >= acknowledged) || undefined
    })
    for (const node of cluster.nodes) await node.end('SIGTERM')
    const hashes = cluster.nodes.map((node) => fingerprintDatabase(join(dataDirOf(node), 'db.sqlite')).hash)
    assert.equal(new Set(hashes).size, 1)
    assert(acknowledged > 0)
    // What is in use is an eighth of what there was; the write-ahead log is in the file when a node has ended.
    for (const node of [asked, killed]) assert(statSync(join(dataDirOf(node), 'db.sqlite')).size < rows * 500)
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
