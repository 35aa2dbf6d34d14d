// The throw-away process of snapshot-examination.ts: `node snapshot-examiner.ts PATH INDEXES` reads the whole file and says on its standard output what it is.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { argv, stdout } from 'node:process'
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { bookkeepingTable } from './bookkeeping.ts'
import { faultsOfTables } from './integrity.ts'
import { stepBehind } from './quiet-thread.ts'
import { readSnapshotPoint } from './snapshot-point.ts'

const bufferBytes = 1024 * 1024
/** As many as a file may have virtual tables that complain, and more. */
const faultsMax = 1_000
const isOfFullText = /^(malformed inverted index for|unable to validate the inverted index for) FTS\d table /
stepBehind()
stdout.write(JSON.stringify(examine(argv[2] ?? '')))

function examine(path: string): unknown {
  try {
    const file = hashOf(path)
    const database = new Database(path, { readonly: true, fileMustExist: true })
    // What stands in a schema is somebody else's: nothing of it is run, and constraints are not judged (their functions may be the node's own).
    database.pragma('trusted_schema = OFF')
    database.pragma('ignore_check_constraints = ON')
    database.pragma('cell_size_check = ON')
    const damage = findDamage(database)
    if (damage !== undefined) return { kind: 'unsound', reason: damage }
    const [fault] = argv[3] === 'compared' ? faultsOfTables(database) : []
    if (fault !== undefined) return { kind: 'unsound', reason: fault }
    const kinds = database.prepare('SELECT type FROM sqlite_schema WHERE name = ?').pluck().all(bookkeepingTable)
    const point = kinds.join() === 'table' ? readSnapshotPoint(database) : undefined
    return { kind: 'sound', ...file, point: point ?? null }
  } catch (error) {
    return { kind: 'unsound', reason: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * A full-text table of version 4 complains as well of an index that does not fit to its texts, which clients can bring about by changing the table that it takes its texts from, and
 * one whose texts are gone takes the whole check with it. Every node has the same then, and whoever refused it could never be rebuilt. Its own tables are looked at as others are.
 */
function findDamage(database: Database.Database): string | undefined {
  let rows: unknown[]
  try {
    rows = database.prepare(`PRAGMA quick_check(${faultsMax})`).pluck().all()
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_ERROR') throw error
    const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").pluck().all() as string[] // the name is text
    rows = names.flatMap((name) =>
      database
        .prepare(`PRAGMA quick_check(${quotedName(name)})`)
        .pluck()
        .all(),
    )
  }
  const faults = rows.flatMap((row) => String(row).split('\n'))
  return faults.find((fault) => fault !== 'ok' && !isOfFullText.test(fault))
}

function hashOf(path: string): { readonly bytes: number; readonly hash: string } {
  const descriptor = openSync(path, 'r')
  try {
    const hash = createHash('sha256')
    const buffer = Buffer.alloc(bufferBytes)
    let bytes = 0
    for (;;) {
      const read = readSync(descriptor, buffer, 0, buffer.length, bytes)
      if (read === 0) return { bytes, hash: hash.digest('hex') }
      hash.update(buffer.subarray(0, read))
      bytes += read
    }
  } finally {
    closeSync(descriptor)
  }
}
