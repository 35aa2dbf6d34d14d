// What a check of the whole database notices: a byte is flipped at many places of every page, and whatever is not noticed must be of no consequence.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { openBookkeeping } from './bookkeeping.ts'
import { hashContent, hashProgress } from './content-hash.ts'
import { damageIn, integrityFaults } from './integrity.ts'
import { openWriteConnection } from './write-connection.ts'

const pageBytes = 4096
/** The places of a b-tree page's header, which begins behind the file's on the first page. */
const headerPlaces = [0, 1, 3, 5, 7, 8]

interface Seen {
  readonly faults: readonly string[]
  readonly content: string
}

/** What a check makes of the file, in this process. */
function look(path: string): Seen {
  let database: Database.Database | undefined
  try {
    database = new Database(path, { readonly: true, fileMustExist: true })
    const faults = integrityFaults(database, 'integrity_check')
    const steps = hashContent(database)
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    return { faults, content: step.value + hashProgress(database) }
  } catch (error) {
    const damage = damageIn(error)
    assert(damage !== undefined, String(error))
    return { faults: [damage], content: '' }
  } finally {
    database?.close()
  }
}

function isNoticed(seen: Seen, good: Seen): boolean {
  return seen.faults.length > 0 || seen.content !== good.content
}

/** Tables of each kind, indexes, overflow pages, full text, pages that are free. */
function makeDatabase(path: string): void {
  writeFileSync(path, '')
  const database = openWriteConnection(path)
  openBookkeeping(database)
  database.exec(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL, c BLOB);
    CREATE INDEX t_a ON t (a, b);
    CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE VIRTUAL TABLE f USING fts5(x);
    CREATE TABLE g (a, b AS (a + 1) VIRTUAL, c AS (a + 2) STORED);
    CREATE TABLE gone (x)`)
  const insert = (sql: string, ...values: readonly unknown[]): unknown => database.prepare(sql).run(...values)
  for (let n = 1; n <= 120; n += 1) {
    insert('INSERT INTO t VALUES (?, ?, ?, zeroblob(?))', n * 3, `text ${n}`, n / 7, n === 60 ? 9_000 : 20)
    insert('INSERT INTO w VALUES (?, ?)', `key ${n}`, n)
    insert('INSERT INTO f VALUES (?)', `some words ${n}`)
    insert('INSERT INTO g (a) VALUES (?)', n)
    if (n < 6) insert('INSERT INTO gone VALUES (zeroblob(4000))')
  }
  database.exec('DROP TABLE gone; ANALYZE; DELETE FROM t WHERE id % 5 = 0')
  database.close()
}

/** What users might do next, free pages and freed cells included. */
function goOn(path: string): Seen {
  const database = openWriteConnection(path)
  try {
    database.exec(`
      INSERT INTO t SELECT id + 1, a || '+', b, zeroblob(500) FROM t;
      DELETE FROM w WHERE v % 2 = 0;
      UPDATE g SET a = a + 1;
      CREATE TABLE more (x);
      INSERT INTO more SELECT zeroblob(3000) FROM t LIMIT 10;
      INSERT INTO f SELECT 'more ' || a FROM t LIMIT 20`)
  } finally {
    database.close()
  }
  return look(path)
}

test('a byte flipped anywhere is noticed where it changes content or structure, and changes nothing that could ever matter where it is not', () => {
  const directory = mkdtempSync(join(tmpdir(), 'flipped-pages-'))
  try {
    const path = join(directory, 'db.sqlite')
    makeDatabase(path)
    const bytes = readFileSync(path)
    const good = look(path)
    assert.deepEqual(good.faults, [])
    const later = goOn(path)
    assert.deepEqual(later.faults, [])
    const flipped = join(directory, 'flipped.sqlite')
    const unnoticed = new Map<number, number>()
    let noticed = 0
    for (let page = 0; page < bytes.length / pageBytes; page += 1) {
      const places = [...headerPlaces.map((place) => place + (page === 0 ? 100 : 0)), ...Array.from({ length: 8 }, (_, n) => 60 + n * 507)]
      for (const place of places) {
        const copy = Buffer.from(bytes)
        const at = page * pageBytes + place
        copy[at] = (copy[at] ?? 0) ^ 0x10
        writeFileSync(flipped, copy)
        if (isNoticed(look(flipped), good)) noticed += 1
        else {
          unnoticed.set(page, (unnoticed.get(page) ?? 0) + 1)
          assert.deepEqual(goOn(flipped), later, `byte ${place} of page ${page + 1} was flipped, and nobody had noticed`)
        }
        for (const suffix of ['', '-wal', '-shm']) rmSync(`${flipped}${suffix}`, { force: true })
      }
    }
    assert(noticed > 100 && unnoticed.size > 0, `${noticed} noticed`)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
