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

test('other errors stay what they are', () => {
  assert.throws(() => prepared('SELECT nope'), { message: 'no such column: nope' })
  assert.throws(() => prepared('SELECT "fiona" FROM nowhere'), { message: 'no such table: nowhere' })
  assert.throws(() => prepared('SELECT [nope]'), { message: /^no such column/ })
})

test('rows of an INSERT may hold any number of such strings, beside names in double quotes', () => {
  const rows = Array.from({ length: 3_000 }, (_, n) => `("x", "name ${n} of ""t""")`)
  const statement = prepared(`INSERT INTO "t" ("x", "y") VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING RETURNING "x", "y"`)
  const stored = statement.raw().all()
  assert.deepEqual([stored.length, stored[2_999]], [3_000, ['x', 'name 2999 of "t"']])
  const two = prepared('INSERT INTO t VALUES (lower("ABC" || "x") COLLATE "nocase", CAST("7" AS "integer"))')
  assert.equal(two.run().changes, 1)
})

test('a text that would have to be prepared too often is refused as SQLite refuses it', () => {
  const words = Array.from({ length: 3_000 }, (_, n) => `"word${n}"`)
  assert.equal(
    prepared(`SELECT ${words.slice(0, 100).join(', ')}`)
      .raw()
      .get()
      ?.toString()
      .startsWith('word0,word1'),
    true,
  )
  assert.throws(() => prepared(`SELECT * FROM t WHERE x IN (${words.join(', ')})`), /no such column: "word\d+"/)
})

test('a long text is not read over and over for its words: what would stop the node for seconds is refused as SQLite refuses it', () => {
  const columns = Array.from({ length: 120 }, (_, n) => `"w${n % 60}"`).join()
  const before = process.cpuUsage()
  assert.throws(() => prepared(`SELECT ${columns} FROM (VALUES (1)${', (1)'.repeat(60_000)})`), /no such column: "w\d+"/)
  const { user, system } = process.cpuUsage(before)
  assert(user + system < 2_000_000, `${user + system} µs of processor time`)
})

/** A database in which the statements were carried out, each prepared as the store prepares it. */
function madeBy(...statements: readonly string[]): Database.Database {
  const database = new Database(':memory:')
  for (const sql of ['CREATE TABLE t (x, y)', 'CREATE TABLE log (what, of)', ...statements]) {
    const split = splitStatements(sql)
    assert(split.ok && split.value[0] !== undefined, sql)
    prepareWithDoubleQuotes(database, split.value[0], wordOf(sql, split.value[0].tokens[0])).run()
  }
  return database
}

function storedText(database: Database.Database, name: string): unknown {
  return database.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').pluck().get(name)
}

for (const [sql, stored] of [
  [
    `CREATE TABLE n ("a" TEXT DEFAULT "x" CHECK ("a" IN ("b", "it's")), c)`,
    `CREATE TABLE n ("a" TEXT DEFAULT "x" CHECK ("a" IN ('b', 'it''s')), c)`,
  ],
  ['CREATE TABLE n (a, "b" AS ("a" || "-" || "b2") STORED)', `CREATE TABLE n (a, "b" AS ("a" || '-' || 'b2') STORED)`],
  [
    'CREATE TABLE n (a, "x", CHECK (a <> "x" AND a <> "z"), UNIQUE ("x"))',
    `CREATE TABLE n (a, "x", CHECK (a <> "x" AND a <> 'z'), UNIQUE ("x"))`,
  ],
  ['CREATE UNIQUE INDEX "n" ON "t" ("x") WHERE "y" = "open"', `CREATE UNIQUE INDEX "n" ON "t" ("x") WHERE "y" = 'open'`],
  ['CREATE INDEX n ON t (x || "-", "y" COLLATE NOCASE DESC)', `CREATE INDEX n ON t (x || '-', "y" COLLATE NOCASE DESC)`],
  [
    'CREATE VIEW n ("v") AS SELECT "x" || "!" FROM "t" WHERE "y" <> "n"',
    `CREATE VIEW n ("v") AS SELECT "x" || '!' FROM "t" WHERE "y" <> 'n'`,
  ],
  [
    'CREATE TRIGGER "n" AFTER INSERT ON "t" WHEN new."x" = "go" BEGIN INSERT INTO "log" ("what", "of") VALUES ("made", new."y"); UPDATE log SET "of" = "of" || "x" WHERE "what" = "what2"; END',
    `CREATE TRIGGER "n" AFTER INSERT ON "t" WHEN new."x" = 'go' BEGIN INSERT INTO "log" ("what", "of") VALUES ('made', new."y"); UPDATE log SET "of" = "of" || 'x' WHERE "what" = 'what2'; END`,
  ],
  [
    'CREATE TRIGGER n BEFORE UPDATE OF "y" ON t BEGIN SELECT RAISE(ABORT, "no") WHERE new.y = "y"; END',
    `CREATE TRIGGER n BEFORE UPDATE OF "y" ON t BEGIN SELECT RAISE(ABORT, 'no') WHERE new.y = 'y'; END`,
  ],
  [
    'CREATE TRIGGER n AFTER UPDATE OF "y" ON "main"."t" BEGIN INSERT INTO log VALUES ("a", old."y"); END',
    `CREATE TRIGGER n AFTER UPDATE OF "y" ON "main"."t" BEGIN INSERT INTO log VALUES ('a', old."y"); END`,
  ],
  [
    'CREATE TRIGGER n AFTER DELETE ON t BEGIN DELETE FROM log WHERE of = "x" AND "what" = old.x; END',
    `CREATE TRIGGER n AFTER DELETE ON t BEGIN DELETE FROM log WHERE of = 'x' AND "what" = old.x; END`,
  ],
] as const) {
  test(`of ${sql} the strings are stored as strings`, () => {
    assert.equal(storedText(madeBy(sql), 'n'), stored)
  })
}

test('a column that is added is stored with strings, and the table can be renamed', () => {
  const database = madeBy(
    'ALTER TABLE "t" ADD COLUMN "z" DEFAULT "d" CHECK ("z" IN ("d", "e"))',
    'ALTER TABLE main.t ADD w AS ("x" || "-")',
    'ALTER TABLE t RENAME TO u',
  )
  assert.match(String(storedText(database, 'u')), /"z" DEFAULT "d" CHECK \("z" IN \('d', 'e'\)\), w AS \("x" \|\| '-'\)\)$/)
})

test('a name is never taken for a string, and what SQLite does not complain of stays', () => {
  for (const sql of [
    'CREATE INDEX i ON t ("nope")',
    'CREATE INDEX i ON t (("nope"))',
    'CREATE INDEX i ON t (x, "nope" COLLATE NOCASE)',
    'CREATE INDEX i ON t ("nope") WHERE x = "nope"',
    'CREATE TABLE n (a, UNIQUE ("nope"))',
    'CREATE TABLE n (a, PRIMARY KEY ("nope"))',
    'CREATE TABLE n (a, CHECK (a <> "nope"), UNIQUE ("nope"))',
    'CREATE TABLE n (a DEFAULT ("x"))',
    'CREATE TABLE n (a CHECK (a > [nope]))',
  ]) {
    assert.throws(() => madeBy(sql), { code: 'SQLITE_ERROR' }, sql)
  }
  for (const sql of [
    'CREATE VIEW n AS SELECT "x" FROM nowhere',
    'CREATE TRIGGER n AFTER INSERT ON t BEGIN INSERT INTO nowhere VALUES ("x"); END',
    'CREATE TRIGGER n AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.nope, "a"); END',
  ]) {
    assert.equal(storedText(madeBy(sql), 'n'), sql)
  }
})

test('with another trigger that cannot be resolved, nothing is said of a new one', () => {
  const broken = new Database(':memory:')
  broken.exec('CREATE TABLE t (x, y); CREATE TABLE log (what); CREATE TRIGGER b AFTER INSERT ON t BEGIN INSERT INTO log VALUES ("x"); END')
  const sql = 'CREATE TRIGGER n AFTER INSERT ON t BEGIN UPDATE t SET x = "x" || "z"; END'
  const split = splitStatements(sql)
  assert(split.ok && split.value[0] !== undefined)
  prepareWithDoubleQuotes(broken, split.value[0], 'create').run()
  assert.equal(storedText(broken, 'n'), sql)
})

test('the clock does not come into a CHECK, an index or a generated column in double quotes', () => {
  for (const sql of [
    'CREATE TABLE n (a CHECK (a > date("now")))',
    'CREATE INDEX n ON t (date("now", x))',
    'CREATE TABLE n (a, b AS (datetime(a, "localtime")))',
  ]) {
    assert.throws(() => madeBy(sql), /no such column/, sql)
  }
})

test('a trial leaves nothing behind, and needs no transaction', () => {
  const database = madeBy()
  const version: unknown = database.pragma('schema_version', { simple: true })
  const sql = 'CREATE TRIGGER n AFTER INSERT ON t BEGIN INSERT INTO log VALUES ("a", "b"); END'
  const split = splitStatements(sql)
  assert(split.ok && split.value[0] !== undefined)
  prepareWithDoubleQuotes(database, split.value[0], 'create')
  assert.equal(database.inTransaction, false)
  assert.equal(database.pragma('schema_version', { simple: true }), version)
  assert.equal(storedText(database, 'n'), undefined)
})
