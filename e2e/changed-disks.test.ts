// What a disk changes in the database of a stopped node of a real cluster: the check of all databases finds it, a majority decides who is rebuilt, whoever leads, and without a
// majority nothing is destroyed.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import Database from 'better-sqlite3'
import { z } from 'zod'
import { waitUntil } from './apiserver/wait-until.ts'
import { resultsOf } from './processes/api-client.ts'
import { ClusterOfProcesses, patientTimers } from './processes/cluster-of-processes.ts'
import { untilDatabasesAgree } from './processes/content-checks.ts'
import { fingerprintDatabase } from '../node/store/database-fingerprint.ts'
import type { NodeProcess } from './processes/node-process.ts'
import { sureWrite } from './processes/sure-write.ts'

/** It only ends what hangs: the machine may be loaded. */
const deadlineMs = 240_000
const status = z.object({ store: z.object({ check: z.object({ result: z.string(), faults: z.array(z.string()) }) }) })

describe('what a disk has changed', () => {
  let cluster: ClusterOfProcesses
  before(async () => {
    cluster = await ClusterOfProcesses.start({ nodes: 3, flags: patientTimers })
    await write('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n INTEGER)', 'CREATE INDEX IF NOT EXISTS t_n ON t (n)')
    await write(...Array.from({ length: 200 }, (_, n) => `INSERT INTO t VALUES (${n}, ${n}) ON CONFLICT DO NOTHING`))
  })
  after(() => cluster.close())

  async function write(...body: readonly string[]): Promise<void> {
    await sureWrite(cluster.client(node(0)), body)
  }

  function node(position: number): NodeProcess {
    const found = cluster.nodes[position]
    assert(found !== undefined)
    return found
  }

  /** While it is stopped. */
  async function change(position: number, sql: string): Promise<void> {
    assert.equal((await node(position).end('SIGTERM')).code, 0)
    const database = new Database(join(cluster.filesOf(node(position)).dataDir, 'db.sqlite'))
    database.unsafeMode()
    database.pragma('writable_schema = ON')
    database.exec(sql)
    database.close()
    node(position).start()
    await cluster.whenReady()
  }

  function valueAt(position: number): Promise<unknown> {
    return waitUntil({ what: 'a value', deadlineMs }, async () => {
      const answer = await cluster.client(node(position)).send({ path: '/db/query?level=none', body: ['SELECT n FROM t WHERE id = 7'] })
      return answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values?.[0]?.[0] : undefined
    })
  }

  async function lead(position: number): Promise<void> {
    await waitUntil({ what: 'it leads', deadlineMs }, async () => {
      if ((await cluster.leader()) === node(position)) return true
      await cluster.client(node(0)).send({ path: '/leader', body: { id: node(position).id } })
      return undefined
    })
  }

  const clients = (): ReturnType<ClusterOfProcesses['client']>[] => cluster.nodes.map((each) => cluster.client(each))

  test('is found where it leads, too: it hands over, and is rebuilt from the others', async () => {
    await change(0, 'UPDATE t SET n = 1000 WHERE id = 7')
    await lead(0)
    assert.equal(await valueAt(0), 1000, 'nobody has noticed')
    const { mended } = await untilDatabasesAgree(clients())
    assert.equal(mended, 1)
    for (const position of [0, 1, 2]) assert.equal(await valueAt(position), 7)
  })

  test('is found in an index that no longer fits its table', async () => {
    const before = "SELECT rootpage FROM sqlite_schema WHERE name = 't_n'"
    await change(1, `UPDATE sqlite_schema SET sql = 'CREATE INDEX t_n ON t (id)' WHERE name = 't_n' AND rootpage = (${before})`)
    const { mended } = await untilDatabasesAgree(clients())
    assert.equal(mended, 1)
  })

  test('without a majority nothing is changed, every node says so, and all go on', async () => {
    await change(0, 'UPDATE t SET n = 2000 WHERE id = 7')
    await change(1, 'UPDATE t SET n = 3000 WHERE id = 7')
    await waitUntil({ what: 'a check begins', deadlineMs }, async () => {
      const answer = await cluster.client(node(2)).send({ method: 'POST', path: '/check' })
      return answer.kind === 'reply' && answer.status === 200 ? true : undefined
    })
    for (const client of clients())
      await waitUntil({ what: 'it is unclear', deadlineMs }, async () => {
        const answer = await client.send({ path: '/status' })
        if (answer.kind !== 'reply' || answer.status !== 200) return undefined
        return status.parse(JSON.parse(answer.body)).store.check.result === 'unclear' ? true : undefined
      })
    assert.deepEqual([await valueAt(0), await valueAt(1), await valueAt(2)], [2000, 3000, 7])
    await write('UPDATE t SET n = 7 WHERE id = 7')
    const { mended } = await untilDatabasesAgree(clients())
    assert.equal(mended, 0, 'a write has made them equal again')
    for (const each of cluster.nodes) await each.end('SIGTERM')
    const prints = cluster.nodes.map((each) => fingerprintDatabase(join(cluster.filesOf(each).dataDir, 'db.sqlite')).hash)
    assert.equal(new Set(prints).size, 1)
  })
})
