import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { openBookkeeping } from './bookkeeping.ts'
import { hashContent } from './content-hash.ts'

function withDatabase<T>(statements: readonly string[], body: (database: Database.Database) => T): T {
  const database = new Database(':memory:')
  try {
    openBookkeeping(database)
    for (const sql of statements) database.exec(sql)
    return body(database)
  } finally {
    database.close()
  }
}

function hashOf(database: Database.Database): string {
  const steps = hashContent(database)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return step.value
}

test('a column that is computed and has the name of the rowid does not stand in its place', () => {
  const table = 'CREATE TABLE t (a, rowid AS (a + 1) VIRTUAL)'
  const hashes = [1, 7].map((rowid) => withDatabase([table, `INSERT INTO t (_rowid_, a) VALUES (${rowid}, 'x')`], hashOf))
  assert.notEqual(hashes[0], hashes[1], 'rowids differ')
})

const tables = {
  'a key that falls': 'CREATE TABLE t (a, b, c, PRIMARY KEY (a DESC, b)) WITHOUT ROWID',
  'a key with a collation of its own': 'CREATE TABLE t (a COLLATE RTRIM, b, c, PRIMARY KEY (b, a COLLATE NOCASE)) WITHOUT ROWID',
  'all names of the rowid taken': 'CREATE TABLE t (rowid, _rowid_, oid)',
  'all names of the rowid taken, and a key': 'CREATE TABLE t (rowid TEXT PRIMARY KEY, _rowid_, oid)',
  'a rowid': 'CREATE TABLE t (a, b, c); CREATE INDEX i ON t (c, b, a)',
}

for (const [name, table] of Object.entries(tables))
  test(`a table is read as it lies there, never sorted, which a large one has no room for, nor by another index: ${name}`, () => {
    const rows = ["(3, 'x', 1)", "(1, 'y', 2)", "(2, 'x', 3)"]
    // The index holds its rows in another order.
    const more = name.startsWith('a key') ? ['CREATE INDEX i ON t (c, b, a)'] : []
    const hash = (order: readonly string[]): string =>
      withDatabase([table, ...more, ...order.map((row) => `INSERT INTO t VALUES ${row}`)], (database) => {
        const prepare = database.prepare.bind(database)
        const plans: unknown[] = []
        database.prepare = (sql: string) => {
          if (sql.includes(' FROM main.')) plans.push(...prepare(`EXPLAIN QUERY PLAN ${sql}`).all())
          return prepare(sql)
        }
        const found = hashOf(database)
        assert.deepEqual(
          plans.map((plan) => (plan as { detail: string }).detail),
          ['SCAN main.t'],
        )
        return found
      })
    const same = hash(rows) === hash(rows.toReversed())
    assert.equal(same, name.startsWith('a key'), 'where rows have keys the order in which they came does not matter')
  })
