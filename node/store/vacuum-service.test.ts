// What goes on while VACUUM writes a second file, and what survives the swap.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { encodeCommand } from '../command/command-codec.ts'
import { makeEntry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { NodeId } from '../raft/membership.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from '../replica/eventually.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { openStore, type Store } from './open-store.ts'
import { command, logOf, type ShortStatement } from './test-machine.ts'

const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) INSERT INTO t SELECT zeroblob(2000) FROM n`
/** Some tenths of a second on an idle processor. */
const longRead =
  'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*), (SELECT count(*) FROM t) FROM n'

interface Scene {
  readonly store: Store
  readonly databasePath: string
  readonly logged: string[]
  readonly apply: (...texts: readonly string[]) => void
  readonly applied: (index: number) => Promise<void>
  readonly read: (sql: string) => Promise<unknown>
}

async function withStore(body: (scene: Scene) => Promise<void>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'vacuum-service-'))
  const logged: string[] = []
  const log = (_: unknown, text?: string): void => void logged.push(text ?? '')
  const opened = await openStore({
    dataDir,
    nodeId: 'n1' as NodeId,
    onFatal: (problem) => assert.fail(problem.message),
    logger: { info: log, warn: log, error: log },
    readers: { processesMax: 2, growthBytesMax: 256 * 1024 * 1024 },
  })
  assert(opened.ok)
  const store = opened.value
  let index = 1
  store.stateMachine.apply([makeEntry({ index, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(['n1'])) })])
  try {
    await body({
      store,
      databasePath: join(dataDir, 'db.sqlite'),
      logged,
      apply: (...texts) => {
        store.stateMachine.apply(
          logOf(
            texts.map((text) => command([text])),
            index + 1,
          ),
        )
        index += texts.length
      },
      applied: (at) => eventually(() => store.stateMachine.appliedIndex === at, `entry ${at} is applied`),
      read: async (sql) => {
        const read = await store.reader.query([statement(sql)], { transaction: false, appliedIndexMin: 0, timeoutMs: 380_000 })
        assert(read.ok)
        const [result] = read.value.results
        return result?.kind === 'rows' ? result.rows : result
      },
    })
  } finally {
    await store.close()
    rmSync(dataDir, { recursive: true, maxRetries: 20, retryDelay: 50 })
  }
}

function statement(sql: string): { readonly sql: string; readonly parameters: { readonly kind: 'positional'; readonly values: [] } } {
  return { sql, parameters: { kind: 'positional', values: [] } }
}

test('reads are answered while VACUUM writes, those under way at the swap too; entries wait and are applied behind it', () =>
  withStore(async ({ store, databasePath, logged, apply, applied, read }) => {
    apply('CREATE TABLE t (b)', fill, 'DELETE FROM t WHERE rowid % 4 > 0')
    await applied(4)
    const before = fingerprintDatabase(databasePath).hash
    const long = read(longRead)
    apply('VACUUM', 'INSERT INTO t VALUES (1)')
    // The thread answers in a later turn of the loop, however fast it is.
    assert(store.isHeldUp())
    assert.deepEqual(await read('SELECT length(b) FROM t WHERE rowid = 4'), [[2000n]])
    assert.equal(store.stateMachine.appliedIndex, 4)
    await applied(6)
    const [[counted, rows]] = (await long) as [[bigint, bigint]]
    assert.equal(counted, 3_000_000n)
    assert([2_000n, 2_001n].includes(rows), `${rows} rows`)
    assert.deepEqual(await read('SELECT count(*), max(rowid) FROM t'), [[2001n, 8001n]])
    assert(logged.includes('the database was written anew'))
    apply('DELETE FROM t WHERE rowid = 8001')
    await applied(7)
    assert.equal(fingerprintDatabase(databasePath).hash, before)
    assert(statSync(databasePath).size < 6_000_000, 'a quarter of 16 MB')
  }))

test('a copy that a member is fetching stays whole over a VACUUM, one that is being made fails and may be asked for again', () =>
  withStore(async ({ store, databasePath, apply, applied }) => {
    apply('CREATE TABLE t (b)', fill, 'DELETE FROM t WHERE rowid % 4 > 0')
    await applied(4)
    const taken = await store.snapshots.take({ indexMin: 4 })
    assert(taken.ok)
    const { id, bytes } = taken.value
    const head = await store.snapshots.read({ id, offset: 0, length: 1000 })
    apply('VACUUM')
    await applied(5)
    const again = await store.snapshots.read({ id, offset: 0, length: 1000 })
    assert(head.ok && again.ok)
    assert.deepEqual(again.value, head.value)
    const tail = await store.snapshots.read({ id, offset: bytes - 10, length: 10 })
    assert(tail.ok && tail.value.length === 10)
    const making = store.snapshots.take({ indexMin: 5 })
    apply('VACUUM')
    await applied(6)
    await making
    const next = await store.snapshots.take({ indexMin: 6 })
    assert(next.ok)
    assert.equal(next.value.index, 6)
    const copyPath = join(databasePath, '..', 'copy.sqlite')
    assert((await store.copier.copyTo(copyPath).finished).ok)
    assert.equal(fingerprintDatabase(copyPath).hash, fingerprintDatabase(databasePath).hash)
    const copy = new Database(copyPath, { readonly: true })
    assert.equal(copy.pragma('integrity_check', { simple: true }), 'ok')
    copy.close()
  }))

test('a rehearsal that VACUUM interrupts says so, and the next one sees the new file', () =>
  withStore(async ({ store, apply, applied }) => {
    apply('CREATE TABLE t (b)', fill, 'DELETE FROM t WHERE rowid % 4 > 0')
    await applied(4)
    const rehearse = (text: ShortStatement): ReturnType<Store['rehearsal']['rehearse']> =>
      store.rehearsal.rehearse([{ payload: encodeCommand(command([text])), limit: { kind: 'clock', ms: 30_000 } }], () => {})
    const first = rehearse(fill)
    apply('VACUUM')
    await applied(5)
    assert(['interrupted', 'done'].includes((await first).kind))
    assert.equal((await rehearse('UPDATE t SET b = 1')).kind, 'done')
  }))

test('one VACUUM right behind another finds its place free', () =>
  withStore(async ({ apply, applied, read }) => {
    apply('CREATE TABLE t (b)', 'INSERT INTO t VALUES (1)', 'VACUUM', 'VACUUM', 'INSERT INTO t VALUES (2)')
    await applied(6)
    assert.deepEqual(await read('SELECT b FROM t'), [[1n], [2n]])
  }))
