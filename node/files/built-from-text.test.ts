import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Database from 'better-sqlite3'
import { rewriteText } from './file-rewriting.ts'

let directory = ''
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'built-from-text-'))
})
after(() => rmSync(directory, { recursive: true }))

const dump = (name: string): string => readFileSync(join(import.meta.dirname, 'dumps', name), 'utf8')

/** The database of it as a node takes it, or why not. */
function made(text: string | Uint8Array): Database.Database | string {
  const path = join(directory, 'given.sql')
  const output = join(directory, 'sound.sqlite')
  rmSync(output, { force: true })
  writeFileSync(path, text)
  const found = rewriteText({ path, output })
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.includes('built')),
    [],
    'nothing is left of what was built',
  )
  return found.kind === 'sound' ? new Database(output) : found.reason
}

function sound(text: string): Database.Database {
  const database = made(text)
  assert(typeof database !== 'string', typeof database === 'string' ? database : '')
  return database
}

test("the sqlite3 shell's dump of a database with statistics and with strings in double quotes is loaded", () => {
  const database = sound(dump('with-statistics.sql'))
  assert.deepEqual(database.prepare('SELECT id, state, n, hex(b) FROM items').raw().all(), [
    [1, 'new', 1.5, '00FF'],
    [2, 'old', 1e100, ''],
    [3, 'old', 0, ''],
  ])
  assert.deepEqual(database.prepare('SELECT said FROM shown').pluck().all(), ["new it's", "old it's", "old it's"])
  assert.throws(() => database.exec("INSERT INTO items(state) VALUES ('other')"), /CHECK/)
  database.exec("INSERT INTO items(state) VALUES ('new'); UPDATE items SET n = 7 WHERE id = 1")
  assert.equal(database.prepare('SELECT max(id) FROM items').pluck().get(), 5)
  assert.deepEqual(database.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'").all(), [])
  database.close()
})

test("the sqlite3 shell's dump of full-text tables and of an R*Tree is loaded, with what they have found and would find", () => {
  const database = sound(dump('with-virtual-tables.sql'))
  const search = (sql: string): readonly unknown[] => database.prepare(sql).raw().all()
  assert.deepEqual(search(`SELECT rowid, title, "body text" FROM docs WHERE docs MATCH 'run OR lines'`), [
    [2, "It's two\nlines", 'jumps over'],
    [70, 'running again', null],
  ])
  assert.deepEqual(search("SELECT rowid FROM ext WHERE ext MATCH 'inner'"), [[2]])
  assert.deepEqual(search("SELECT rowid FROM bare WHERE bare MATCH 'hidden'"), [[3]])
  assert.deepEqual(search("SELECT a FROM old WHERE old MATCH 'four'"), [['fts four']])
  assert.deepEqual(search('SELECT label FROM boxes WHERE x1 > 1'), [['here']])
  database.exec("INSERT INTO src VALUES (9, 'newest words'); INSERT INTO docs(title) VALUES ('fresh')")
  assert.deepEqual(search("SELECT rowid FROM ext WHERE ext MATCH 'newest'"), [[9]])
  for (const table of ['docs', 'ext', 'old']) database.exec(`INSERT INTO ${table}(${table}) VALUES ('integrity-check')`)
  assert.equal(database.pragma('integrity_check', { simple: true }), 'ok')
  database.close()
})

const row = (definition: string): string =>
  `PRAGMA writable_schema=ON; INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','ft','ft',0,'${definition.replaceAll("'", "''")}');`

test('what such a dump could hide is refused, whole', () => {
  for (const [text, reason] of [
    [row('CREATE VIRTUAL TABLE ft USING dbstat'), /virtual table can only use/],
    [row('CREATE TABLE ft (a)'), /rootpage|may not be modified/],
    [`${row('CREATE VIRTUAL TABLE ft USING fts5(a)')} UPDATE sqlite_schema SET sql = 'CREATE TABLE evil (a)'`, /may not be modified/],
    [`${row('CREATE VIRTUAL TABLE ft USING fts5(a)')} DELETE FROM sqlite_schema`, /may not be modified/],
    // Its shadow tables are missing, or lie.
    [row('CREATE VIRTUAL TABLE ft USING fts5(a)'), /./],
    [dump('with-virtual-tables.sql').replace(/INSERT INTO docs_data VALUES\(137438953473,.*\n/, ''), /./],
    [`${row('CREATE VIRTUAL TABLE ft USING fts5(a)')} CREATE TABLE ft (a)`, /./],
    ["CREATE TABLE t (a); ATTACH '/etc/passwd' AS x", /^ATTACH is not allowed/],
    ['CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)', /^statement 3: UNIQUE constraint failed: t.a$/],
    ['CREATE TABLE _securesql_state (a)', /reserved/],
    ["CREATE TABLE t (a); INSERT INTO t VALUES ('never closed", /unrecognized token at character 43/],
    [Buffer.from([0x2d, 0x2d, 0xff, 0xfe]), /not valid/],
    ['CREATE TABLE t (a CHECK (a > date("now")))', /no such column/],
    ['CREATE TABLE t (a); INSERT INTO t VALUES (?)', /Too few parameter values/],
    ['CREATE TABLE t (a); INSERT INTO t(rowid) VALUES (9223372036854775807)', /rowid/],
    [
      'CREATE TABLE t (a); INSERT INTO t SELECT randomblob(1000000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90) SELECT i FROM n)',
      /no room: what it makes/,
    ],
  ] as const) {
    const found = made(text)
    assert(typeof found === 'string', String(text))
    assert.match(found, reason, String(text))
  }
})

test('a text of many chunks is read to its end, with statements that are longer than one', () => {
  const long = 'ü'.repeat(200_000)
  const rows = Array.from({ length: 4_000 }, (_, n) => `INSERT INTO t VALUES(${n},'row ${n}; ''ü''');`)
  const database = sound(
    `PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (a, b);\n${rows.join('\n')}\nINSERT INTO t VALUES(-1,'${long}');\nPRAGMA user_version=7;\nCOMMIT;\n`,
  )
  assert.deepEqual(database.prepare('SELECT count(*), sum(a), max(length(b)), (SELECT b FROM t WHERE a = 3999) FROM t').raw().get(), [
    4_001,
    7_997_999,
    200_000,
    "row 3999; 'ü'",
  ])
  assert.equal(database.pragma('user_version', { simple: true }), 7)
  database.close()
})
