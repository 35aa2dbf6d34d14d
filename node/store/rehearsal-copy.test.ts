import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import type { CopyWork } from './test-copy-process.ts'
import { TestMachine } from './test-machine.ts'

interface World {
  readonly machine: TestMachine
  /** What `read` gives in a new copy, before `run` is run and the copy closed. */
  readonly copy: (work: Partial<Omit<CopyWork, 'place'>>) => Promise<{ readonly rows: unknown[][]; readonly check: unknown }>
}

/** `beyond`: the directory of the copies, where it is not beside the database. */
async function withCopies(body: (world: World) => Promise<void>, beyond?: string): Promise<void> {
  const machine = new TestMachine()
  const directory = beyond ?? join(dirname(machine.path), 'rehearsal')
  mkdirSync(directory, { recursive: true })
  const child = fork(new URL('test-copy-process.ts', import.meta.url), { serialization: 'advanced', execArgv: [] })
  const place = { databasePath: machine.path, directory }
  const copy: World['copy'] = async (work) => {
    child.send({ place, run: '', read: 'SELECT 1', isNamed: false, ...work } satisfies CopyWork)
    const [reply]: unknown[] = await once(child, 'message')
    return reply as { rows: unknown[][]; check: unknown }
  }
  try {
    await body({ machine, copy })
  } finally {
    child.kill('SIGKILL')
    await machine.dispose()
    rmSync(directory, { recursive: true, force: true })
  }
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function pinned(path: string): Database.Database {
  const pin = new Database(path, { readonly: true })
  pin.exec('BEGIN')
  pin.prepare('SELECT * FROM _securesql_state').get()
  return pin
}

test('what is committed in the copy never reaches the database, not even when the copy is closed as usual', () =>
  withCopies(async ({ machine, copy }) => {
    await machine.run(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1), (2)'])
    const pin = pinned(machine.path)
    const before = [hashOf(machine.path), hashOf(`${machine.path}-wal`)]
    const run = "INSERT INTO t SELECT randomblob(1000) FROM t; DELETE FROM t WHERE a = 1; CREATE TABLE u AS SELECT 1; UPDATE t SET a = 'x'"
    assert.deepEqual(await copy({ run, read: 'SELECT a FROM t' }), { rows: [[1], [2]], check: 'ok' })
    assert.equal(statSync(machine.path).nlink, 1, 'the second name is gone')
    pin.close()
    assert.deepEqual([hashOf(machine.path), hashOf(`${machine.path}-wal`)], before)
    await machine.run(['INSERT INTO t VALUES (3)'])
    await machine.reopen()
    assert.deepEqual(machine.rows('SELECT a FROM t'), [[1], [2], [3]])
    // Nor when nobody else has the database open, as after a crash of the node.
    await machine.machine.close()
    const closed = hashOf(machine.path)
    await copy({ run })
    assert.equal(hashOf(machine.path), closed)
    await machine.reopen()
  }))

test('the guard is needed: with its name in place, SQLite would write the copy into a database that nobody has open', () =>
  withCopies(async ({ machine, copy }) => {
    await machine.run(['CREATE TABLE t (a)'])
    await machine.machine.close()
    await copy({ run: 'INSERT INTO t VALUES (99)', isNamed: true })
    assert.deepEqual(machine.rows('SELECT a FROM t'), [[99]])
    await machine.reopen()
  }))

/** A hard link cannot lead to another file system. */
const elsewhere = '/dev/shm'
const cannotLink = existsSync(elsewhere) && statSync(elsewhere).dev !== statSync(tmpdir()).dev

test('a copy that is made while the database is written and checkpointed is whole, and holds everything that was applied before', () =>
  withCopies(staysWhole))

test('so is one that is copied as a whole, where there are no hard links', { skip: !cannotLink }, () =>
  withCopies(staysWhole, mkdtempSync(join(elsewhere, 'rehearsal-'))),
)

async function staysWhole({ machine, copy }: World): Promise<void> {
  await machine.run(['CREATE TABLE t (n INTEGER PRIMARY KEY, pad)', 'CREATE TABLE sums (total)', 'INSERT INTO sums VALUES (0)'])
  const checkpointer = new Database(machine.path)
  const write = (n: number) =>
    machine.run(
      [
        ['INSERT INTO t VALUES (?, zeroblob(20000))', n],
        ['UPDATE sums SET total = total + ?', n],
      ],
      { transaction: true },
    )
  for (let round = 1; round <= 60; round += 1) {
    await write(round)
    // An empty WAL, one that was copied back but not begun anew, one with frames that were not copied back.
    if (round % 3 === 0) checkpointer.pragma('wal_checkpoint(TRUNCATE)')
    if (round % 3 === 1) checkpointer.pragma('wal_checkpoint(PASSIVE)')
    const pin = pinned(machine.path)
    if (round % 2 === 0) await write(-round)
    checkpointer.pragma('wal_checkpoint(PASSIVE)')
    const copying = copy({
      run: 'DELETE FROM t WHERE n % 2; DELETE FROM sums',
      read: `SELECT sum(n), sum(n = ${round}), (SELECT total FROM sums) FROM t`,
    })
    for (let more = 1; more <= 3; more += 1) {
      await write(1_000 * round + more)
      await write(-1_000 * round - more)
      checkpointer.pragma('wal_checkpoint(PASSIVE)')
      await new Promise((resolve) => setImmediate(resolve))
    }
    const { rows, check } = await copying
    pin.close()
    const [sum, own, total] = rows[0] as number[]
    assert.deepEqual([check, sum, own], ['ok', total, 1], `round ${round}`)
  }
  checkpointer.close()
  assert.deepEqual(machine.rows('SELECT sum(n) = (SELECT total FROM sums) FROM t'), [[1]])
  assert.deepEqual(machine.rows('PRAGMA integrity_check'), [['ok']])
}
