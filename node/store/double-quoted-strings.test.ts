import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { splitStatements, wordOf } from '../command/split.ts'
import { prepareWithDoubleQuotes } from './double-quoted-strings.ts'

function prepared(sql: string): Database.Statement {
  const database = new Database(':memory:')
  database.exec("CREATE TABLE t (x, y); CREATE TABLE u (y); INSERT INTO t VALUES ('tx', 'ty'); INSERT INTO u VALUES ('uy')")
  const split = splitStatements(sql)
  assert(split.ok && split.value[0] !== undefined)
  return prepareWithDoubleQuotes(database, split.value[0], wordOf(sql, split.value[0].tokens[0]))
}

for (const [sql, expected] of [
  ['SELECT "fiona"', [['fiona']]],
  ['SELECT "it\'s ""quoted"""', [['it\'s "quoted"']]],
  ['SELECT "x", "fiona" FROM t', [['tx', 'fiona']]],
  ['SELECT "x" FROM t UNION ALL SELECT "x" FROM u', [['tx'], ['x']]],
  ['SELECT "x" FROM u UNION ALL SELECT "x" FROM t', [['x'], ['tx']]],
  ['SELECT "a", "b", "a" FROM "t" AS "c" WHERE "c"."x" = "tx"', [['a', 'b', 'a']]],
  ['WITH "w" AS (SELECT "w" AS v) SELECT * FROM "w"', [['w']]],
  ['SELECT 1 AS "one" ORDER BY "one"', [[1]]],
] as const) {
  test(`${sql} gives ${JSON.stringify(expected)}, as rqlite answers`, () => {
    assert.deepEqual(prepared(sql).raw().all(), expected)
  })
}

test('rows are inserted with strings in double quotes, under names in double quotes', () => {
  const statement = prepared('INSERT INTO "t" ("x", "y") VALUES ("x", "fiona"), ("t", "x") RETURNING x, y')
  assert.deepEqual(statement.raw().all(), [
    ['x', 'fiona'],
    ['t', 'x'],
  ])
})

test('other errors, and words in a schema, stay what they are', () => {
  assert.throws(() => prepared('SELECT nope'), { message: 'no such column: nope' })
  assert.throws(() => prepared('SELECT "fiona" FROM nowhere'), { message: 'no such table: nowhere' })
  assert.throws(() => prepared('CREATE INDEX i ON t ("nope")'))
  assert.throws(() => prepared('SELECT [nope]'), { message: /^no such column/ })
})

test('more different words than the limit are refused as SQLite refuses the first of them', () => {
  const words = Array.from({ length: 65 }, (_, n) => `"w${n}"`).join(', ')
  assert.throws(() => prepared(`SELECT ${words}`), /no such column: "w\d+"/)
})
