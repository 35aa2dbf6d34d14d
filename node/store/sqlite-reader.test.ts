import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SqlValue, Statement } from '../command/command.ts'
import { foreignKeysStatement } from '../command/upkeep.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine, failed, withoutTime, type ShortStatement } from './test-machine.ts'

function statements(...list: readonly ShortStatement[]): readonly Statement[] {
  return list.map((one) => {
    const [sql, ...values] = typeof one === 'string' ? [one] : one
    return { sql, parameters: { kind: 'positional', values } }
  })
}

function withReader(title: string, body: (world: TestMachine, reader: SqliteReader) => Promise<void>): void {
  test(title, async () => {
    const world = new TestMachine()
    const reader = new SqliteReader(world.path, { onFatal: (problem) => assert.fail(problem.message) })
    try {
      await world.run([
        'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, big)',
        "INSERT INTO t VALUES (1, 'fiona', 9007199254740993), (2, NULL, 7)",
      ])
      await body(world, reader)
    } finally {
      reader.close()
      await world.dispose()
    }
  })
}

async function read(
  reader: SqliteReader,
  list: readonly Statement[],
  options = { transaction: false, appliedIndexMin: 0 },
): Promise<readonly unknown[]> {
  const answer = await reader.query(list, options)
  assert(answer.ok, answer.ok ? '' : answer.problem.message)
  return answer.value.results.map(withoutTime)
}

withReader('rows come with names, declared types in lower case, and whole numbers exact', async (_world, reader) => {
  assert.deepEqual(
    await read(reader, statements('SELECT id, name, big FROM t', ['SELECT ? + 1 AS x', 41n], 'SELECT * FROM t WHERE id = 9')),
    [
      {
        kind: 'rows',
        columns: [
          { name: 'id', declaredType: 'integer', table: 't' },
          { name: 'name', declaredType: 'text', table: 't' },
          { name: 'big', declaredType: '', table: 't' },
        ],
        rows: [
          [1n, 'fiona', 9007199254740993n],
          [2n, null, 7n],
        ] satisfies SqlValue[][],
      },
      { kind: 'rows', columns: [{ name: 'x', declaredType: '' }], rows: [[42n]] },
      {
        kind: 'rows',
        columns: [
          { name: 'id', declaredType: 'integer', table: 't' },
          { name: 'name', declaredType: 'text', table: 't' },
          { name: 'big', declaredType: '', table: 't' },
        ],
        rows: [],
      },
    ],
  )
})

withReader('an error is a result; within a transaction it ends the reading', async (_world, reader) => {
  const list = statements('SELECT 1', 'SELECT * FROM nope', 'SELECT 2')
  assert.deepEqual(
    (await read(reader, list)).map((result) => (result as { kind: string }).kind),
    ['rows', 'error', 'rows'],
  )
  assert.deepEqual((await read(reader, list, { transaction: true, appliedIndexMin: 0 })).at(-1), failed('no such table: nope'))
})

withReader('a text of several statements answers with the last one, empty texts with nothing', async (_world, reader) => {
  assert.deepEqual(await read(reader, statements(['SELECT ?; SELECT ?', 'a', 'b'], '')), [
    { kind: 'rows', columns: [{ name: '?', declaredType: '' }], rows: [['b']] },
  ])
})

withReader('the applied index of the snapshot is answered, and less than was promised is a bug', async (world, reader) => {
  const answer = await reader.query(statements('SELECT 1'), { transaction: false, appliedIndexMin: world.machine.appliedIndex })
  assert(answer.ok)
  assert.equal(answer.value.appliedIndex, world.machine.appliedIndex)
  await assert.rejects(reader.query(statements('SELECT 1'), { transaction: false, appliedIndexMin: world.machine.appliedIndex + 1 }))
  assert.deepEqual((await read(reader, statements('SELECT 1'))).length, 1, 'and the next read is as good as before')
})

withReader('a changed schema is seen at once', async (world, reader) => {
  await read(reader, statements('SELECT * FROM t'))
  await world.run(['ALTER TABLE t ADD COLUMN extra REAL'])
  const [result] = await read(reader, statements('SELECT * FROM t'))
  assert.deepEqual((result as { columns: unknown[] }).columns.at(-1), { name: 'extra', declaredType: 'real', table: 't' })
})

const attacks: readonly string[] = [
  'INSERT INTO t VALUES (3, 1, 1)',
  'INSERT INTO t VALUES (3, 1, 1) RETURNING id',
  'WITH x AS (SELECT 1) DELETE FROM t',
  '/**/;UPDATE t SET id = 5',
  'SELECT 1; DROP TABLE t',
  'CREATE TABLE u (a)',
  'PRAGMA user_version = 7',
  'PRAGMA query_only = 0',
  'PRAGMA wal_checkpoint(TRUNCATE)',
  "ATTACH '/tmp/never-made-by-a-query.sqlite' AS x",
  "VACUUM INTO '/tmp/never-made-by-a-query.sqlite'",
  'BEGIN',
  'COMMIT',
  'REINDEX',
  'ANALYZE',
  'SELECT * FROM _securesql_state',
]

for (const attack of attacks) {
  withReader(`a query cannot ${attack}`, async (world, reader) => {
    const before = world.rows('SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM sqlite_schema), (SELECT * FROM pragma_user_version)')
    const answer = await reader.query(statements(attack), { transaction: false, appliedIndexMin: 0 })
    assert(!answer.ok)
    assert.equal(answer.problem.code, 'statement_refused')
    assert.equal(reader.readsOnly(statements(attack)), false)
    assert.deepEqual(
      world.rows('SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM sqlite_schema), (SELECT * FROM pragma_user_version)'),
      before,
    )
    assert.equal((await read(reader, statements('SELECT 1'))).length, 1)
  })
}

withReader('EXPLAIN of a write is a read, and changes nothing', async (world, reader) => {
  const list = statements('EXPLAIN DELETE FROM t', 'EXPLAIN QUERY PLAN UPDATE t SET id = 1')
  assert.equal(reader.readsOnly(list), true)
  assert.deepEqual(
    (await read(reader, list)).map((result) => (result as { kind: string }).kind),
    ['rows', 'rows'],
  )
  assert.deepEqual(world.rows('SELECT count(*) FROM t'), [[2]])
})

withReader('readsOnly: every text reads and passes the gate, by its words alone', (_world, reader) => {
  assert.equal(reader.readsOnly(statements('SELECT 1', "SELECT date('now'); SELECT random()", 'PRAGMA table_info(t)')), true)
  assert.equal(reader.readsOnly(statements('SELECT 1', 'DELETE FROM t')), false)
  assert.equal(reader.readsOnly(statements('WITH x AS (SELECT 1) DELETE FROM t')), false)
  assert.equal(reader.readsOnly(statements('SELECT * FROM nope', 'SELECT (')), true)
  return Promise.resolve()
})

withReader('read pragmas and their table functions work', async (_world, reader) => {
  const results = await read(
    reader,
    statements(
      'PRAGMA table_info(t)',
      "SELECT name FROM pragma_table_info('t')",
      'PRAGMA user_version',
      'PRAGMA foreign_key_check',
      'PRAGMA quick_check',
    ),
  )
  for (const result of results) assert.equal((result as { kind: string }).kind, 'rows')
})

withReader('whether foreign keys are enforced is shown as the cluster has set it', async (world, reader) => {
  const shown = async (): Promise<readonly unknown[]> => await read(reader, statements('PRAGMA foreign_keys'))
  const rows = (value: bigint): readonly unknown[] => [
    { kind: 'rows', columns: [{ name: 'foreign_keys', declaredType: '' }], rows: [[value]] },
  ]
  assert.deepEqual(await shown(), rows(0n))
  for (const isOn of [true, false]) {
    await world.run([foreignKeysStatement(isOn)])
    assert.deepEqual(await shown(), rows(isOn ? 1n : 0n))
  }
})
