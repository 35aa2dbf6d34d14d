import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { RowidGuard, rowidRefused } from './rowid-guard.ts'

const last = (2n ** 63n - 1n).toString()

function twoConnections(t: { after(end: () => void): void }): { readonly own: Database.Database; readonly other: Database.Database } {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-guard-'))
  const own = new Database(join(folder, 'db.sqlite'))
  own.pragma('journal_mode = WAL')
  const other = new Database(join(folder, 'db.sqlite'))
  t.after(() => {
    own.close()
    other.close()
    rmSync(folder, { recursive: true })
  })
  return { own, other }
}

function guards(own: Database.Database, guard: RowidGuard, insert: string): void {
  guard.schemaChanged()
  guard.prepare()
  assert.throws(() => own.exec(insert), { message: rowidRefused })
}

test('a table that the other connection has dropped and made anew in another shape is guarded as it is now', (t) => {
  const { own, other } = twoConnections(t)
  own.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  const guard = new RowidGuard(own)
  guards(own, guard, `INSERT INTO t(id) VALUES (${last})`)
  guard.handOver()
  other.exec('DROP TABLE t')
  // Reads the schema as it is now: the triggers of the dropped table are no more, their rows are.
  assert.throws(() => own.exec('SELECT * FROM t'), /no such table/)
  guard.takeBack()
  own.exec('CREATE TABLE t (a, b)')
  guards(own, guard, `INSERT INTO t(rowid, a) VALUES (${last}, 1)`)
  own.exec('UPDATE t SET a = 2')
})

test('a table that the other connection has dropped and made anew before this one looks again is guarded as it is now', (t) => {
  const { own, other } = twoConnections(t)
  own.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  const guard = new RowidGuard(own)
  guard.prepare()
  guard.handOver()
  other.exec('DROP TABLE t; CREATE TABLE t (a, b)')
  guard.takeBack()
  guards(own, guard, `INSERT INTO t(rowid, a) VALUES (${last}, 1)`)
  own.exec('UPDATE t SET a = 2')
})

test('users cannot write into the schema after orphans were removed from it', (t) => {
  const { own, other } = twoConnections(t)
  own.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)')
  const guard = new RowidGuard(own)
  guard.prepare()
  guard.handOver()
  other.exec('DROP TABLE t')
  assert.throws(() => own.exec('SELECT * FROM t'), /no such table/)
  guard.takeBack()
  assert.throws(() => own.exec("DELETE FROM main.sqlite_schema WHERE name = 't'"), /may not be modified/)
})
