// The state machine with its threads: what may take long is applied elsewhere, the WAL is kept short and made durable elsewhere, and nobody notices but by the clock.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { seedBytes } from '../command/entry-moment.ts'
import { encodeUpkeep } from '../command/upkeep.ts'
import { makeEntry } from '../raft/entry.ts'
import { eventually } from '../replica/eventually.ts'
import { stateMachineContract } from '../replica/state-machine-contract.ts'
import { rowidRefused } from './rowid-guard.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine, command, failed, logOf, machineUnderTest, onMachine, written } from './test-machine.ts'

stateMachineContract('sqlite state machine with threads', () => machineUnderTest({ elsewhere: 'threads' }))

function onThreads(title: string, body: (world: TestMachine) => Promise<void>): void {
  test(title, () => onMachine(body, { elsewhere: 'threads' }))
}

onThreads('what was applied is durable up to the index that the barrier gives, also while more is applied', async (world) => {
  await world.run(['CREATE TABLE t (n)'])
  const barrier = world.machine.makeDurable()
  await world.apply(logOf([command(['INSERT INTO t VALUES (1)']), command(['INSERT INTO t VALUES (2)'])], 2))
  assert.equal(await barrier, 1)
  assert.deepEqual(await Promise.all([world.machine.makeDurable(), world.machine.makeDurable()]), [3, 3])
})

onThreads('a write is judged under the schema and the settings as applied now, whichever thread has changed them', async (world) => {
  await world.run(['CREATE TABLE p (id INTEGER PRIMARY KEY)'])
  const reader = new SqliteReader(world.path, { onFatal: (problem) => assert.fail(problem.message), schema: () => world.machine.schema })
  const cost = (sql: string): number => reader.judge(command([sql]).statements).cost
  try {
    assert.equal(cost('INSERT INTO c VALUES (1)'), 0, 'it will be refused')
    await world.run(['CREATE TABLE c (id REFERENCES p ON DELETE CASCADE)'])
    assert.ok(cost('INSERT INTO c VALUES (1)') > 0)
    const { schema } = world.machine
    await world.run(['INSERT INTO c VALUES (NULL)'])
    assert.equal(world.machine.schema, schema, 'rows are no change, or nothing would be spared')

    world.machine.apply(logOf([command(['CREATE TRIGGER r AFTER INSERT ON c BEGIN INSERT INTO c SELECT id FROM c; END'])], 4))
    assert.equal(world.machine.schema, undefined, 'another thread may be changing it')
    await eventually(() => world.machine.appliedIndex === 4 && !world.machine.isApplyingElsewhere, 'the trigger is there')
    assert.equal(cost('INSERT INTO c VALUES (1)'), Infinity)

    assert.ok(cost('DELETE FROM p WHERE id = 1') < Infinity)
    const payload = encodeUpkeep('foreign-keys-on', { proposedAtMs: 0, seed: new Uint8Array(seedBytes) })
    await world.apply([makeEntry({ index: 5, term: 1, kind: 'command', payload })])
    assert.equal(cost('DELETE FROM p WHERE id = 1'), Infinity, 'it looks for children')

    await world.run(['INSERT INTO p VALUES (1)', 'CREATE TABLE d (id)', 'INSERT OR ROLLBACK INTO p VALUES (1)'], { transaction: true })
    assert.equal(cost('INSERT INTO d VALUES (1)'), 0)
    reader.suspend()
    world.machine.suspend()
    world.machine.resume()
    reader.resume()
    assert.equal(cost('INSERT INTO c VALUES (1)'), Infinity)
  } finally {
    reader.close()
  }
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

/** How far the machine was at each beat of a timer while `body` ran. Order and not time: on a busy machine a timer comes late for other reasons. */
async function beatsOf(machine: { readonly appliedIndex: number }, body: () => Promise<void>): Promise<readonly number[]> {
  const beats: number[] = []
  const timer = setInterval(() => void beats.push(machine.appliedIndex), 1)
  try {
    await body()
  } finally {
    clearInterval(timer)
  }
  return beats
}

const slow = (rows: number): string =>
  `WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < ${rows}) INSERT INTO t (n) SELECT max(n) FROM r`

onThreads(
  'a statement of seconds is applied and nobody waits for it: neither a timer, nor reads, nor what had gathered behind it',
  async (world) => {
    await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY, n)', 'INSERT INTO t (n) VALUES (0)'])
    const reader = new SqliteReader(world.path, { onFatal: (problem) => assert.fail(problem.message) })
    try {
      const log = logOf(
        [command([slow(4_000_000)]), command(['INSERT INTO t (n) VALUES (5)']), command(['SELECT count(*) FROM t'], { kind: 'request' })],
        2,
      )
      let reads = 0
      let appliedAtOnce = 0
      const beats = await beatsOf(world.machine, async () => {
        const done = world.apply(log)
        appliedAtOnce = world.machine.appliedIndex
        while (world.machine.appliedIndex < 4) {
          await new Promise((resolve) => setTimeout(resolve, 5))
          const read = await reader.query([{ sql: 'SELECT count(*) FROM t', parameters: { kind: 'positional', values: [] } }], {
            transaction: false,
            appliedIndexMin: 1,
          })
          assert(read.ok)
          if (world.machine.appliedIndex === appliedAtOnce) reads += 1
        }
        await done
      })
      const meanwhile = beats.filter((index) => index === appliedAtOnce).length
      assert(meanwhile > 10 && reads > 10, `${meanwhile} beats, ${reads} reads while the statement ran`)
    } finally {
      reader.close()
    }
    assert.deepEqual(world.results(2), [written(2, 1)])
    assert.deepEqual(world.results(3), [written(3, 1)])
    assert.deepEqual(world.rows('SELECT n FROM t ORDER BY id'), [[0], [4_000_000], [5]])
  },
)

onThreads('many entries at once are applied in turns: between them the loop runs', async (world) => {
  await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY, n)'])
  const count = 20_000
  const log = logOf(
    Array.from({ length: count }, (_, n) => command([['INSERT INTO t (n) VALUES (?)', n]])),
    2,
  )
  const beats = await beatsOf(world.machine, () => world.apply(log))
  const steps = [...beats, count + 1].map((index, at) => index - (beats[at - 1] ?? 1))
  assert(Math.max(...steps) < count / 2, `${Math.max(...steps)} of ${count} between two beats, ${beats.length} beats`)
  assert.deepEqual(world.rows('SELECT count(*), max(id), max(n) FROM t'), [[20_000, 20_000, 19_999]])
})

onThreads(
  'the two connections follow each other: tables made anew in another shape, last rowids, statements made before',
  async (world) => {
    const rounds = 4
    for (let round = 0; round < rounds; round += 1) {
      const shape =
        round % 2 === 0 ? 'CREATE TABLE t (k TEXT PRIMARY KEY, n) WITHOUT ROWID' : 'CREATE TABLE t (id INTEGER PRIMARY KEY, n, rowid, oid)'
      await world.run(['DROP TABLE IF EXISTS t', shape]) // elsewhere
      const insert = round % 2 === 0 ? "INSERT INTO t VALUES ('a', 1) RETURNING *" : 'INSERT INTO t (n) VALUES (7) RETURNING *'
      const [result] = await world.run([insert]) // in place
      assert.equal((result as { kind: string }).kind, 'rows')
      await world.run(['CREATE TABLE IF NOT EXISTS n (id INTEGER PRIMARY KEY)', ['INSERT INTO n VALUES (?)', 100 + round]]) // elsewhere
      assert.deepEqual(await world.run(['UPDATE n SET id = id WHERE id = 0']), [written(100 + round, 0)]) // in place
      assert.deepEqual(await world.run(['UPDATE n SET id = id']), [written(100 + round, round + 1)]) // elsewhere
      const last = await world.run([['INSERT INTO n VALUES (?)', 9223372036854775807n]])
      assert.deepEqual(last, [failed(rowidRefused)])
    }
  },
)

test('what ends a thread halts the machine, once, and nothing of it is applied', async () => {
  const world = new TestMachine({ elsewhere: 'threads' })
  try {
    await world.run(['CREATE TABLE t (n)'])
    const newer = makeEntry({ index: 3, term: 1, kind: 'command', payload: new Uint8Array([9, 9]) })
    await world.apply([...logOf([command(['UPDATE t SET n = 1'])], 2), newer])
    assert.deepEqual(
      world.fatal.map(({ code }) => code),
      ['command_version_unknown'],
    )
    assert.equal(world.machine.appliedIndex, 1)
  } finally {
    await world.dispose()
  }
})

test('an entry that never ends, which an older log may hold, keeps neither close nor the end of the process waiting', async () => {
  const program = `
    import { TestMachine, command, logOf } from '${new URL('test-machine.ts', import.meta.url).href}'
    const world = new TestMachine({ elsewhere: 'threads' })
    await world.run(['CREATE TABLE t (n)'])
    const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT i FROM n WHERE i < 0'
    world.machine.apply(logOf([command([endless])], 2))
    await world.machine.close()
    console.log(world.machine.isApplyingElsewhere)
    process.kill(process.pid, 'SIGKILL')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await Promise.all([once(child.stdout, 'data'), once(child, 'exit')])) as unknown as [[Buffer], unknown]
  assert.equal(String(said[0]).trim(), 'true')
})
