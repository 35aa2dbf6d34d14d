// The state machine with its threads: what may take long is applied elsewhere, the WAL is kept short and made durable elsewhere, and nobody notices but by the clock.
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine, command, logOf, written } from './test-machine.ts'

function onThreads(title: string, body: (world: TestMachine) => Promise<void>): void {
  test(title, async () => {
    const world = new TestMachine({ elsewhere: 'threads' })
    try {
      await body(world)
      assert.deepEqual(world.fatal, [])
    } finally {
      await world.dispose()
    }
  })
}

onThreads('what was applied is durable up to the index that the barrier gives, also while more is applied', async (world) => {
  await world.run(['CREATE TABLE t (n)'])
  const barrier = world.machine.makeDurable()
  await world.apply(logOf([command(['INSERT INTO t VALUES (1)']), command(['INSERT INTO t VALUES (2)'])], 2))
  assert.equal(await barrier, 1)
  assert.deepEqual(await Promise.all([world.machine.makeDurable(), world.machine.makeDurable()]), [3, 3])
})

onThreads('suspended, nothing has the database open; resumed, it goes on from what the file in its place says', async (world) => {
  await world.run(['CREATE TABLE t (n)'])
  await world.run(['INSERT INTO t VALUES (1), (2)', 'UPDATE t SET n = n + 1'])
  const reader = new SqliteReader(world.path, { onFatal: (problem) => assert.fail(problem.message) })
  const count = async (): Promise<unknown> => {
    const read = await reader.query([{ sql: 'SELECT count(*) FROM t', parameters: { kind: 'positional', values: [] } }], {
      transaction: false,
      appliedIndexMin: 0,
    })
    assert(read.ok && read.value.results[0]?.kind === 'rows')
    return read.value.results[0].rows[0]?.[0]
  }
  try {
    await world.machine.makeDurable()
    const old = new Database(world.path)
    await old.backup(`${world.path}.old`)
    old.close()
    await world.run(['CREATE INDEX i ON t (n)', 'INSERT INTO t VALUES (3)'])
    assert.equal(await count(), 3n)

    reader.suspend()
    world.machine.suspend()
    assert(!existsSync(`${world.path}-wal`) && !existsSync(`${world.path}-shm`))
    copyFileSync(`${world.path}.old`, world.path)
    world.machine.resume()
    reader.resume()

    assert.equal(world.machine.appliedIndex, 2)
    assert.equal(await count(), 2n)
    assert.deepEqual(await world.run(['INSERT INTO t VALUES (3)', 'UPDATE t SET n = 0 WHERE n > 0']), [written(3, 1), written(3, 3)])
    assert.equal(await count(), 3n)
    assert.equal(await world.machine.makeDurable(), 3)
  } finally {
    reader.close()
    rmSync(`${world.path}.old`, { force: true })
  }
})

onThreads(
  'it is not suspended while someone else has the database open: replacing the file would leave the other on the old one',
  async (world) => {
    await world.run(['CREATE TABLE t (n)'])
    const other = new Database(world.path)
    other.prepare('SELECT count(*) FROM t').get()
    assert.throws(() => world.machine.suspend(), /cannot be replaced/)
    other.close()
    world.machine.resume()
    assert.equal(world.machine.appliedIndex, 1)
  },
)
