import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Database from 'better-sqlite3'
import { rewriteFile } from './file-rewriting.ts'

let directory = ''
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'schema-strings-'))
})
after(() => rmSync(directory, { recursive: true }))

interface OldPart {
  readonly type: 'table' | 'index' | 'view' | 'trigger'
  readonly name: string
  readonly sql: string
  /** What a build with strings in double quotes has made of it, as far as its rows are concerned. */
  readonly alike: string
}

/** As a build of SQLite leaves it that takes such words for strings everywhere, as rqlite's does. */
const parts: readonly OldPart[] = [
  {
    type: 'table',
    name: 't',
    sql: `CREATE TABLE "t" ("id" INTEGER PRIMARY KEY, "state" TEXT DEFAULT "new" CHECK ("state" IN ("new", "old")), tag AS ("state" || "-"))`,
    alike: `CREATE TABLE "t" ("id" INTEGER PRIMARY KEY, "state" TEXT DEFAULT "new" CHECK ("state" IN ('new', 'old')), tag AS ("state" || '-'))`,
  },
  { type: 'table', name: 'log', sql: 'CREATE TABLE log ("what", "of")', alike: 'CREATE TABLE log ("what", "of")' },
  {
    type: 'index',
    name: 'i',
    sql: 'CREATE INDEX i ON t ("id") WHERE "state" = "old"',
    alike: `CREATE INDEX i ON t ("id") WHERE "state" = 'old'`,
  },
  {
    type: 'view',
    name: 'v',
    sql: 'CREATE VIEW v AS SELECT "id", "state" || "!" AS loud FROM t WHERE "state" <> "old"',
    alike: `CREATE VIEW v AS SELECT "id", "state" || '!' AS loud FROM t WHERE "state" <> 'old'`,
  },
  {
    type: 'trigger',
    name: 'r',
    sql: 'CREATE TRIGGER r AFTER UPDATE OF "state" ON t WHEN old."state" = "new" BEGIN INSERT INTO log VALUES ("aged", new."id"); END',
    alike: `CREATE TRIGGER r AFTER UPDATE OF "state" ON t WHEN old."state" = 'new' BEGIN INSERT INTO log VALUES ('aged', new."id"); END`,
  },
]

function makeOld(path: string): void {
  const database = new Database(path)
  for (const { alike } of parts) database.exec(alike)
  database.exec("INSERT INTO t (id) VALUES (1), (2); INSERT INTO t VALUES (3, 'old')")
  database.unsafeMode(true)
  database.pragma('writable_schema = ON')
  for (const { sql, name } of parts) database.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?').run(sql, name)
  database.close()
}

test('strings in double quotes in the schema of a file become strings, so that its triggers and views work and its tables can be renamed', () => {
  const path = join(directory, 'old.sqlite')
  const output = join(directory, 'sound.sqlite')
  makeOld(path)
  const old = new Database(path)
  assert.throws(() => old.exec("UPDATE t SET state = 'old' WHERE id = 1"), /no such column: "aged"|no such column: "new"/)
  old.close()
  const found = rewriteFile({ path, output })
  assert.equal(found.kind, 'sound', JSON.stringify(found))
  const made = new Database(output)
  for (const { name, alike } of parts) assert.equal(made.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').pluck().get(name), alike)
  made.exec("UPDATE t SET state = 'old' WHERE id = 1")
  assert.deepEqual(made.prepare('SELECT * FROM log').raw().all(), [['aged', 1]])
  assert.deepEqual(made.prepare('SELECT * FROM v').raw().all(), [[2, 'new!']])
  made.exec('ALTER TABLE t RENAME TO u')
  assert.equal(made.pragma('integrity_check', { simple: true }), 'ok')
  made.close()
})
