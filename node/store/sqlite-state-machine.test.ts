import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import { stateMachineContract } from '../replica/state-machine-contract.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { freeBytesMin } from './disk-space.ts'
import type { FatalProblem } from './fatal.ts'
import { rowidRefused } from './rowid-guard.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { TestMachine, command, failed, logOf, machineUnderTest, written } from './test-machine.ts'
import { openWriteConnection } from './write-connection.ts'

stateMachineContract('sqlite state machine', machineUnderTest)

function onMachine(title: string, body: (world: TestMachine) => Promise<void>, options?: { readonly foreignKeys: boolean }): void {
  test(title, async () => {
    const world = new TestMachine(options)
    try {
      await body(world)
    } finally {
      await world.dispose()
    }
  })
}

const rows = (columns: readonly [string, string][], values: readonly unknown[][]): unknown => ({
  kind: 'rows',
  columns: columns.map(([name, declaredType]) => ({ name, declaredType, table: 't' })),
  rows: values,
})

onMachine(
  'last_insert_id and rows_affected are those of one long-lived connection, also for statements that write no row',
  async (world) => {
    assert.deepEqual(await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY, n)']), [written(0, 0)])
    assert.deepEqual(await world.run(['INSERT INTO t (n) VALUES (1)']), [written(1, 1)])
    assert.deepEqual(await world.run(['INSERT INTO t VALUES (99, 2), (77, 3)']), [written(77, 2)])
    assert.deepEqual(await world.run(['UPDATE t SET n = 0']), [written(77, 3)])
    assert.deepEqual(await world.run(['CREATE INDEX i ON t (n)']), [written(77, 3)])
    assert.deepEqual(await world.run(['UPDATE t SET n = 1 WHERE id = 5']), [written(77, 0)])
    assert.deepEqual(await world.run(['DELETE FROM t']), [written(77, 3)])
    assert.deepEqual(await world.run(['DROP TABLE t']), [written(77, 3)])
  },
)

onMachine('after a restart they are what they were', async (world) => {
  await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY)', 'INSERT INTO t VALUES (5), (9007199254740993)'])
  await world.reopen()
  assert.deepEqual(await world.run(['DROP TABLE t']), [written(9007199254740993n, 2)])
  await world.reopen()
  assert.deepEqual(await world.run(['CREATE TABLE u (a)']), [written(9007199254740993n, 2)])
})

onMachine('SQL errors are results in SQLite words, and the statements around them stand', async (world) => {
  const results = await world.run([
    'CREATE TABLE t (id INTEGER PRIMARY KEY)',
    'INSERT INTO t VALUES (1)',
    'INSERT INTO bar VALUES (1)',
    'INSERT blah blah',
    'INSERT INTO t VALUES (1)',
    'INSERT INTO t VALUES (2)',
  ])
  assert.deepEqual(results, [
    written(0, 0),
    written(1, 1),
    failed('no such table: bar'),
    failed('near "blah": syntax error'),
    failed('UNIQUE constraint failed: t.id'),
    written(2, 1),
  ])
})

onMachine('with transaction, the first error takes everything back and ends the command', async (world) => {
  await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY)'])
  const results = await world.run(
    ['INSERT INTO t VALUES (1)', 'CREATE TABLE u (a)', 'INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (3)'],
    {
      transaction: true,
    },
  )
  assert.deepEqual(results, [written(1, 1), written(1, 1), failed('UNIQUE constraint failed: t.id')])
  assert.deepEqual(world.rows("SELECT count(*), (SELECT count(*) FROM sqlite_schema WHERE name = 'u') FROM t"), [[0, 0]])
  assert.deepEqual(await world.run(['INSERT INTO t VALUES (7)', 'UPDATE t SET id = 8'], { transaction: true }), [
    written(7, 1),
    written(7, 1),
  ])
})

onMachine('a statement that fails leaves nothing behind, unless it says OR FAIL', async (world) => {
  await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY)', 'INSERT INTO t VALUES (3)'])
  await world.run(['INSERT INTO t VALUES (1), (2), (3), (4)'])
  assert.deepEqual(world.rows('SELECT id FROM t'), [[3]])
  await world.run(['INSERT OR FAIL INTO t VALUES (1), (2), (3), (4)'])
  assert.deepEqual(world.rows('SELECT id FROM t'), [[1], [2], [3]])
})

onMachine('a text of several statements runs them all and answers with the last one; an error ends the text', async (world) => {
  const text = 'CREATE TABLE t (a); INSERT INTO t VALUES (?); INSERT INTO t VALUES (?), (?);'
  assert.deepEqual(await world.run([[text, 1, 2, 3]]), [written(3, 2)])
  assert.deepEqual(await world.run(['INSERT INTO t VALUES (4); INSERT INTO nope VALUES (1); INSERT INTO t VALUES (5)']), [
    failed('no such table: nope'),
  ])
  assert.deepEqual(world.rows('SELECT a FROM t'), [[1], [2], [3], [4]])
  assert.deepEqual(await world.run([[text, 1]]), [failed('table t already exists')])
  assert.deepEqual(await world.run([['INSERT INTO t VALUES (?); INSERT INTO t VALUES (?)', 6]]), [
    failed('not enough args to execute query: want 1 got 1'),
  ])
})

onMachine('an empty text has no result, one of comments has an empty one', async (world) => {
  assert.deepEqual(await world.run(['', '-- nothing', '']), [written(0, 0)])
})

onMachine('RETURNING gives rows with their declared types; a SELECT gives rows in a request and counters in an execute', async (world) => {
  await world.run(['CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(10))'])
  const columns = rows(
    [
      ['id', 'integer'],
      ['name', 'varchar(10)'],
    ],
    [[1n, 'fiona']],
  )
  assert.deepEqual(await world.run([['INSERT INTO t (name) VALUES (?) RETURNING *', 'fiona']]), [columns])
  assert.deepEqual(await world.run(['SELECT * FROM t'], { kind: 'request' }), [columns])
  assert.deepEqual(await world.run(['SELECT * FROM t', 'SELECT * FROM nope']), [written(1, 1), failed('no such table: nope')])
  assert.deepEqual(await world.run(['UPDATE t SET id = 5 WHERE id = 9 RETURNING id', 'DROP TABLE t']), [
    rows([['id', 'integer']], []),
    written(1, 0),
  ])
})

onMachine('values keep their kind: whole numbers are INTEGER, 64 bits, blobs, NULL, text with a NUL', async (world) => {
  await world.run(['CREATE TABLE t (v)'])
  const values = [1, 1.5, -0, 2n ** 63n - 1n, 2 ** 53 - 1, null, 'a\0b', new Uint8Array([0, 255])]
  for (const value of values) await world.run([['INSERT INTO t VALUES (?)', value]])
  const [result] = await world.run(['SELECT v, typeof(v) FROM t'], { kind: 'request' })
  const types = (result as { rows: [unknown, string][] }).rows.map(([, type]) => type)
  assert.deepEqual(types, ['integer', 'real', 'real', 'integer', 'integer', 'null', 'text', 'blob'])
  const back = (result as { rows: [unknown][] }).rows.map(([value]) => value)
  assert.deepEqual(back.slice(0, 7), [1n, 1.5, -0, 2n ** 63n - 1n, 2n ** 53n - 1n, null, 'a\0b'])
  assert.deepEqual(Uint8Array.from(back[7] as Uint8Array), values[7])
})

onMachine('a handle made before the schema changed is not used after it', async (world) => {
  await world.run(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)'])
  assert.deepEqual(await world.run(['SELECT * FROM t'], { kind: 'request' }), [rows([['a', '']], [[1n]])])
  await world.run(['ALTER TABLE t ADD COLUMN b TEXT DEFAULT 5'])
  const both = rows(
    [
      ['a', ''],
      ['b', 'text'],
    ],
    [[1n, '5']],
  )
  assert.deepEqual(await world.run(['SELECT * FROM t'], { kind: 'request' }), [both])
  await world.run(['ALTER TABLE t DROP COLUMN a', 'nonsense'], { transaction: true })
  assert.deepEqual(await world.run(['SELECT * FROM t'], { kind: 'request' }), [both])
})

for (const transaction of [false, true]) {
  onMachine(`an entry that rolls back the whole transaction takes no neighbour with it (transaction ${transaction})`, async (world) => {
    const setUp = command([
      'CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)',
      'CREATE TABLE n (a)',
      'INSERT INTO t VALUES (1)',
    ])
    const good = (n: number) => command([['INSERT INTO n VALUES (?)', n]])
    const offender = command(['INSERT INTO n VALUES (100)', 'INSERT INTO t VALUES (1)', 'INSERT INTO n VALUES (101)'], { transaction })
    const log = logOf([setUp, good(1), good(2), offender, good(3), offender, good(4)])
    await world.apply(log)
    assert.deepEqual(world.machine.appliedIndex, 7)
    assert.deepEqual(
      world.rows('SELECT a FROM n ORDER BY rowid'),
      transaction ? [[1], [2], [3], [4]] : [[1], [2], [100], [101], [3], [100], [101], [4]],
    )
    const error = failed('UNIQUE constraint failed: t.id')
    assert.deepEqual(world.results(4), transaction ? [written(3, 1), error] : [written(3, 1), error, written(4, 1)])
    assert.deepEqual(world.results(5), [written(transaction ? 3 : 5, 1)])
  })
}

onMachine('OR ROLLBACK and RAISE(ROLLBACK) are met in the same way, and many of them in one command', async (world) => {
  await world.run([
    'CREATE TABLE t (id INTEGER PRIMARY KEY)',
    'INSERT INTO t VALUES (1)',
    'CREATE TABLE guarded (a)',
    "CREATE TRIGGER g BEFORE INSERT ON guarded WHEN new.a < 0 BEGIN SELECT RAISE(ROLLBACK, 'too small'); END",
  ])
  const results = await world.run([
    'INSERT INTO guarded VALUES (1)',
    'INSERT OR ROLLBACK INTO t VALUES (1)',
    'INSERT INTO guarded VALUES (2); INSERT INTO guarded VALUES (-1); INSERT INTO guarded VALUES (3)',
    'INSERT INTO guarded VALUES (-2)',
    'INSERT INTO guarded VALUES (4)',
    'DROP TRIGGER g',
  ])
  assert.deepEqual(results, [
    written(1, 1),
    failed('UNIQUE constraint failed: t.id'),
    failed('too small'),
    failed('too small'),
    written(3, 1),
    written(3, 1),
  ])
  assert.deepEqual(world.rows('SELECT a FROM guarded'), [[1], [2], [4]])
})

onMachine(
  'a deferred foreign key is checked at the end of each entry, not of the group',
  async (world) => {
    const schema = command(['CREATE TABLE p (id INTEGER PRIMARY KEY)', 'CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)'])
    const orphan = command(['INSERT INTO c VALUES (1)'])
    const repaired = command(['INSERT INTO c VALUES (2)', 'INSERT INTO p VALUES (2)'], { transaction: true })
    const broken = command(['INSERT INTO p VALUES (3)', 'INSERT INTO c VALUES (4)'], { transaction: true })
    const mixed = command(['INSERT INTO p VALUES (5)', 'INSERT INTO c VALUES (6)', 'INSERT INTO c VALUES (5)'])
    await world.apply(logOf([schema, orphan, command(['INSERT INTO p VALUES (1)']), repaired, broken, mixed]))
    const error = failed('FOREIGN KEY constraint failed')
    assert.deepEqual(world.results(2), [error])
    assert.deepEqual(world.results(4), [written(1, 1), written(2, 1)])
    assert.deepEqual(world.results(5).at(-1), error)
    assert.deepEqual(world.results(6), [written(5, 1), error, written(2, 1)])
    assert.deepEqual(world.rows("SELECT 'p', id FROM p UNION ALL SELECT 'c', p FROM c"), [
      ['p', 1],
      ['p', 2],
      ['p', 5],
      ['c', 2],
      ['c', 5],
    ])
  },
  { foreignKeys: true },
)

onMachine('what the gate would refuse is answered, not run: the log is never stopped by a statement', async (world) => {
  await world.run(['CREATE TABLE t (a)'])
  const results = await world.run([
    'COMMIT',
    'BEGIN',
    '/**/ROLLBACK',
    'SAVEPOINT x',
    'RELEASE x',
    "ATTACH '/tmp/never' AS x",
    'DETACH x',
    "VACUUM INTO '/tmp/never'",
    'END',
    'no statement',
    "SELECT 'open",
    'INSERT INTO t VALUES (1)',
  ])
  assert.equal(results.filter((result) => (result as { kind: string }).kind === 'error').length, 11)
  assert.deepEqual(results.at(-1), written(1, 1))
})

onMachine('the last rowid of all is refused: after it SQLite would choose by chance, differently on each node', async (world) => {
  await world.run([
    'CREATE TABLE t (id INTEGER PRIMARY KEY)',
    'CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, n)',
    'INSERT INTO t VALUES (1)',
  ])
  const last = 9223372036854775807n
  const error = failed(rowidRefused)
  for (const transaction of [false, true]) {
    assert.deepEqual(await world.run([['INSERT INTO t VALUES (?)', last]], { transaction }), [error])
    assert.deepEqual(await world.run([['INSERT INTO a (id) VALUES (?)', last]], { transaction }), [error])
    assert.deepEqual(await world.run([['REPLACE INTO t VALUES (?) RETURNING id', last]], { transaction }), [error])
    assert.deepEqual(await world.run(['CREATE INDEX IF NOT EXISTS i ON t (id)'], { transaction }), [written(1, 0)])
  }
  assert.deepEqual(await world.run(['INSERT INTO t DEFAULT VALUES', 'INSERT INTO a (n) VALUES (1)']), [written(2, 1), written(1, 1)])
  assert.deepEqual(world.fatal, [])
})

onMachine('an entry that holds no command is answered with an error, alike everywhere', async (world) => {
  for (const payload of [new Uint8Array(), new Uint8Array([0]), new Uint8Array([1, 2, 3])]) {
    const index = world.machine.appliedIndex + 1
    await world.apply([makeEntry({ index, term: 1, kind: 'command', payload })])
    assert.deepEqual(world.results(index), [failed('the entry holds no command that can be read')])
  }
  assert.deepEqual(world.fatal, [])
})

onMachine('a command of a newer program stops the node before it, with nothing of the group applied', async (world) => {
  const entries = logOf([command(['CREATE TABLE t (a)'])])
  await world.apply([...entries, makeEntry({ index: 2, term: 1, kind: 'command', payload: new Uint8Array([9, 9]) })])
  assert.equal(world.fatal[0]?.code, 'command_version_unknown')
  assert.equal(world.machine.appliedIndex, 0)
  assert.deepEqual(world.rows("SELECT count(*) FROM sqlite_schema WHERE name = 't'"), [[0]])
  await world.apply(entries)
  assert.equal(world.machine.appliedIndex, 0, 'a halted machine does nothing more')
})

test('a disk that is full halts the machine: nothing of the group is applied, no result is recorded, and it does nothing more', async () => {
  const world = new TestMachine()
  try {
    await world.run(['CREATE TABLE t (b)'])
    await world.machine.close()
    const database = openWriteConnection(world.path)
    database.pragma('max_page_count = 20') // the engine's own way to have no room
    const fatal: FatalProblem[] = []
    let told = 0
    const onFatal = (problem: FatalProblem) => fatal.push(problem)
    world.machine = new SqliteStateMachine(database, { onFatal, readFreeBytes: () => freeBytesMin - 1, elsewhere: 'nowhere' })
    world.machine.onApplied(() => (told += 1))
    const small = command([['INSERT INTO t VALUES (?)', 1]])
    await world.apply(logOf([small, command([['INSERT INTO t VALUES (zeroblob(?))', 1_000_000]]), small], 2))
    assert.deepEqual(
      fatal.map(({ code }) => code),
      ['database_failed'],
    )
    assert.match(fatal[0]!.message, /after entry 1: SQLITE_FULL/)
    await world.apply(logOf([small], 2))
    assert.equal(told, 0)
    assert.equal(world.machine.appliedIndex, 1)
    await world.reopen()
    assert.equal(world.machine.appliedIndex, 1)
    assert.deepEqual(world.rows('SELECT count(*) FROM t'), [[0]])
    await world.apply(logOf([small], 2))
    assert.equal(world.machine.appliedIndex, 2)
  } finally {
    await world.dispose()
  }
})

onMachine('the applied index is in the transaction of the data: what is read from the file is always both or neither', async (world) => {
  await world.run(['CREATE TABLE t (a)'])
  for (let n = 0; n < 20; n += 1) {
    await world.run(['INSERT INTO t VALUES (1)'])
    const [[applied, count]] = world.rows('SELECT (SELECT applied_index FROM _securesql_state), (SELECT count(*) FROM t)') as [
      [number, number],
    ]
    assert.equal(applied, count + 1)
  }
  assert.equal(fingerprintDatabase(world.path).appliedIndex, 21)
})

onMachine('a membership of an older epoch, agreed on before the cluster was begun anew by hand, changes nothing', async (world) => {
  const membership = (id: string, epoch?: number): Membership => ({
    members: [{ id: id as NodeId, incarnation: 'i', raftAddress: `${id}:4002`, apiUrl: `https://${id}:4001`, suffrage: 'voter' }],
    ...(epoch === undefined ? {} : { epoch }),
  })
  const entry = (index: number, one: Membership) => makeEntry({ index, term: 1, kind: 'membership', payload: encodeMembership(one) })
  await world.apply([entry(1, membership('a')), entry(2, membership('b', 2)), entry(3, membership('c', 1)), entry(4, membership('d'))])
  assert.deepEqual(world.machine.membership, membership('b', 2))
  assert.equal(world.machine.appliedIndex, 4)
  await world.reopen()
  await world.apply([entry(5, membership('c', 1)), entry(6, membership('e', 2))])
  assert.deepEqual(world.machine.membership, membership('e', 2))
})
