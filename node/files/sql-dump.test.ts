import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { readDump } from '../command/dump-statements.ts'
import { judgeText } from '../command/gate.ts'
import { DumpRefused, dumpText } from './sql-dump.ts'
import { numberLiteral, textLiteral } from './sql-literal.ts'

function databaseOf(sql: string): Database.Database {
  const database = new Database(':memory:')
  database.exec(sql)
  return database
}

function dumpOf(database: Database.Database, tables: readonly string[] = []): string {
  return [...dumpText(database, tables)].join('')
}

/** As /db/load reads it: through the gate, statement by statement. */
function loaded(text: string): Database.Database {
  const reading = readDump(text, judgeText)
  let step = reading.next()
  while (step.done !== true) step = reading.next()
  const judged = step.value
  assert(judged.ok, judged.ok ? '' : judged.problem.message)
  const database = new Database(':memory:')
  for (const sql of judged.value) database.exec(sql)
  return database
}

/** As the sqlite3 shell reads it. */
function executed(text: string): Database.Database {
  return databaseOf(text)
}

const everything = `
  CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, "a b" TEXT, "select" BLOB, r REAL, n);
  INSERT INTO plain VALUES (3, 'it''s "quoted"', x'00ff27', 0.1, NULL), (9, 'größe 😀 \n line', zeroblob(3), 1e300, 9223372036854775807);
  INSERT INTO plain VALUES (10, '', x'', -0.0, -9223372036854775808), (11, 'x', 'y', 9e999, -9e999), (12, 'z', 5, 3.0, 1e21);
  CREATE TABLE without (k TEXT, v, PRIMARY KEY (k, v)) WITHOUT ROWID;
  INSERT INTO without VALUES ('a', 1), ('a', 2.5);
  CREATE TABLE generated (a INTEGER, b INTEGER AS (a * 2) STORED, c INTEGER AS (a + 1), d TEXT) STRICT;
  INSERT INTO generated (a, d) VALUES (5, 'd');
  CREATE TABLE log (t TEXT);
  CREATE VIRTUAL TABLE text5 USING fts5(title, body);
  INSERT INTO text5(rowid, title, body) VALUES (7, 'hello', 'brave world');
  CREATE VIRTUAL TABLE text4 USING fts4(body);
  INSERT INTO text4(docid, body) VALUES (4, 'other words');
  CREATE VIRTUAL TABLE outer5 USING fts5(v, content='without', content_rowid='v');
  CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, +name);
  INSERT INTO box VALUES (1, 0.5, 2.25, 'one');
  CREATE INDEX by_a ON plain("a b" COLLATE NOCASE) WHERE n IS NOT NULL;
  CREATE UNIQUE INDEX by_expression ON plain(lower("a b"), id);
  CREATE VIEW shown AS SELECT id FROM plain -- all of them
;
  CREATE TRIGGER noted AFTER INSERT ON plain BEGIN INSERT INTO log VALUES ('a;b'); SELECT CASE WHEN 1 THEN 2 END; END;
  CREATE TRIGGER instead INSTEAD OF INSERT ON shown BEGIN INSERT INTO plain(id) VALUES (new.id); END;
  PRAGMA user_version = 12; PRAGMA application_id = 34;`

function contentOf(database: Database.Database): unknown {
  const all = (sql: string): unknown => database.prepare(sql).raw().safeIntegers().all()
  return [
    all("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE '%text_\\_%' ESCAPE '\\' ORDER BY type, name"),
    all('SELECT id, typeof("a b"), "a b", typeof("select"), "select", typeof(r), r, 1 / r, typeof(n), n FROM plain ORDER BY id'),
    all('SELECT * FROM without'),
    all('SELECT * FROM generated'),
    all('SELECT * FROM log'),
    all("SELECT rowid, title FROM text5('brave')"),
    all("SELECT docid FROM text4 WHERE text4 MATCH 'other'"),
    all('SELECT * FROM box'),
    all('SELECT name, seq FROM sqlite_sequence'),
    [database.pragma('user_version'), database.pragma('application_id')],
  ]
}

test('a dump makes the same database again, read by /db/load or executed as it is', () => {
  const original = databaseOf(
    everything.replace("content='without', content_rowid='v'", "content='plain', content_rowid='id'").replace('fts5(v,', 'fts5("a b",'),
  )
  const text = dumpOf(original)
  assert.match(text, /^PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n[^]*COMMIT;\n$/)
  for (const read of [loaded, executed]) {
    const again = read(text)
    assert.deepEqual(contentOf(again), contentOf(original), read.name)
    assert.deepEqual(again.prepare("SELECT rowid FROM outer5('quoted')").pluck().all(), [3])
    assert.equal(dumpOf(again), text, read.name)
  }
})

test('values come back to the last bit', () => {
  const database = databaseOf('CREATE TABLE t (v)')
  const insert = database.prepare('INSERT INTO t VALUES (?)')
  const view = new DataView(new ArrayBuffer(8))
  let seed = 1
  for (let count = 0; count < 2_000; count += 1) {
    for (const at of [0, 4]) view.setUint32(at, (seed = (seed * 1_664_525 + 1_013_904_223) >>> 0))
    const value = view.getFloat64(0)
    if (!Number.isNaN(value)) insert.run(value)
  }
  for (const value of [5e-324, 1.7976931348623157e308, 2 ** 53, 1e-7, 123456789012345680000, Infinity, -Infinity]) insert.run(value)
  for (const value of ['\r\n', 'a\0b', '\0', '\r', "\\13_ \r \\0_ \0 '", 'x'.repeat(100_000), 'ü\u2028\ufeff', '\ufffd']) insert.run(value)
  insert.run(Buffer.from([0, 39, 255]))
  // Text that is no UTF-8, as other programs may have stored it.
  database.exec("INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT)), (CAST(x'c3' AS TEXT))")
  const bytes = (given: Database.Database): unknown =>
    given.prepare('SELECT typeof(v), CAST(v AS BLOB), v FROM t').raw().safeIntegers().all()
  for (const read of [loaded, executed]) assert.deepEqual(bytes(read(dumpOf(database))), bytes(database))
})

test('literals', () => {
  assert.deepEqual([3, -0, 1e21, 0.5, Infinity, -Infinity].map(numberLiteral), ['3.0', '-0.0', '1e+21', '0.5', '1e999', '-1e999'])
  assert.equal(textLiteral("a'b"), "'a''b'")
  assert.equal(textLiteral('a\rb'), "replace('a\\13_b','\\13_',char(13))")
})

test('chosen tables come with their indexes and triggers, and disturb no others', () => {
  const database = databaseOf(everything)
  const text = dumpOf(database, ['PLAIN', 'log'])
  const again = loaded(text)
  const names = again.prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name").pluck().all()
  assert.deepEqual(names, ['by_a', 'by_expression', 'log', 'noted', 'plain'])
  assert.deepEqual(again.prepare('SELECT seq FROM sqlite_sequence').pluck().all(), [12])
  const beside = databaseOf('CREATE TABLE mine (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO mine VALUES (77)')
  beside.exec(text)
  assert.deepEqual(beside.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'mine'").pluck().all(), [77])
  assert.throws(() => dumpOf(database, ['plain', 'nope']), DumpRefused)
  assert.throws(() => dumpOf(database, ['shown']), DumpRefused)
})

test('what no text can hold is refused before the first text', () => {
  const contentless = databaseOf("CREATE TABLE t (a); CREATE VIRTUAL TABLE f USING fts5(a, content='')")
  assert.throws(() => contentless.prepare('SELECT 1').get() && [...dumpText(contentless, [])], DumpRefused)
  assert.match(dumpOf(contentless, ['t']), /CREATE TABLE t/)
})
