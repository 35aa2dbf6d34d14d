// Backups of full-text tables that no longer fit to the texts that they index, which clients bring about, and files that hide something worse behind such a table.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Database from 'better-sqlite3'
import { rewriteFile } from './file-rewriting.ts'

let directory = ''
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'full-text-files-'))
})
after(() => rmSync(directory, { recursive: true }))

const texts = "CREATE TABLE texts (x); CREATE VIRTUAL TABLE ft USING fts4 (content='texts', x);"
const outdated = `${texts} INSERT INTO texts VALUES ('one'), ('two');`
const gone = `${outdated} INSERT INTO ft (ft) VALUES ('rebuild'); DROP TABLE texts;`
/** SQLite cannot look at it at all. */
const blind = "CREATE TABLE lost (x); CREATE VIRTUAL TABLE away USING fts4 (content='lost'); DROP TABLE lost;"

function made(sql: string): string {
  const path = join(directory, 'given.sqlite')
  rmSync(path, { force: true })
  const database = new Database(path)
  database.unsafeMode(true)
  database.exec(sql)
  database.close()
  return path
}

function offered(path: string): string {
  const output = join(directory, 'sound.sqlite')
  rmSync(output, { force: true })
  const found = rewriteFile({ path, output })
  return found.kind === 'sound' ? 'sound' : found.reason
}

for (const [name, sql] of Object.entries({
  'texts were added behind its back': outdated,
  'a text was changed behind its back': `${outdated} INSERT INTO ft (ft) VALUES ('rebuild'); UPDATE texts SET x = 'three' WHERE x = 'two'`,
  'the table of its texts is gone': gone,
  'the table of its texts, and with it its columns, is gone': blind,
  'it keeps no texts': "CREATE VIRTUAL TABLE ft USING fts4 (content='', x); INSERT INTO ft (docid, x) VALUES (1, 'one')",
  'all of these': `${outdated} ${blind} CREATE VIRTUAL TABLE "a 'b" USING FTS4(x, content="texts")`,
}))
  test(`a backup is taken although a full-text table does not fit to its texts: ${name}`, () => {
    assert.equal(offered(made(sql)), 'sound')
    const sound = new Database(join(directory, 'sound.sqlite'), { readonly: true })
    assert.equal(sound.pragma('page_size', { simple: true }), 4096)
    sound.close()
  })

test('what such a table answers is the same behind it', () => {
  assert.equal(offered(made(gone)), 'sound')
  const sound = new Database(join(directory, 'sound.sqlite'), { readonly: true })
  assert.deepEqual(sound.prepare("SELECT docid FROM ft WHERE ft MATCH 'two'").pluck().all(), [2])
  sound.close()
})

const changedSchema = (name: string, sql: string): string =>
  `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '${sql}' WHERE name = '${name}'; PRAGMA writable_schema = RESET;`
const rows = 'CREATE TABLE t (a, b); CREATE INDEX i ON t (a); INSERT INTO t VALUES (NULL, 1);'
for (const [name, hiding] of Object.entries({
  'that complains': outdated,
  'that cannot be looked at': blind,
  'of both kinds': `${outdated} ${blind}`,
}))
  test(`nothing is hidden behind a table ${name}`, () => {
    const found = (sql: string): string => offered(made(`${hiding} ${sql}`))
    assert.match(found(`${rows} ${changedSchema('i', 'CREATE INDEX i ON t (b)')}`), /missing from index i/)
    assert.match(found(`${rows} ${changedSchema('t', 'CREATE TABLE t (a NOT NULL, b)')}`), /NULL value in t\.a/)
    const own = "CREATE VIRTUAL TABLE own USING fts4 (x); INSERT INTO own VALUES ('one');"
    assert.match(found(`${own} UPDATE own_content SET c0x = 'two'`), /malformed inverted index for FTS4 table main\.own/)
    const five = "CREATE VIRTUAL TABLE five USING fts5 (x); INSERT INTO five VALUES ('one');"
    assert.match(found(`${five} UPDATE five_content SET c0 = 'two'`), /checksum mismatch for table "five"/)
  })

test('damage beside such a table is found', () => {
  const path = made(`${outdated} CREATE TABLE last (a); INSERT INTO last VALUES (1)`)
  const file = readFileSync(path)
  writeFileSync(path, file.fill(0xff, file.length - 4096))
  assert.notEqual(offered(path), 'sound')
})
