// VACUUM: the database is written anew, without free pages, beside the present one (SQLite's VACUUM INTO), and takes its place as a loaded one does. Nothing that an entry
// could see is changed by it: rows keep their rowids (a VACUUM in place would number them anew), the schema its order and its version. So a node that has no room for a
// second copy keeps the file it has, and is no different from the others; only `rootpage` may differ, which no statement in the log may read (command/local-tables.ts).
import { closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { openBookkeeping, type Progress } from './bookkeeping.ts'
import { freeBytesMin, type ReadFreeBytes } from './disk-space.ts'
import { removeDatabase, syncDatabase } from './load-assembly.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'
import { isDiskFull } from '../log/write-failure.ts'

export interface RewritingTask {
  /** The present database, in no transaction; nobody writes to it meanwhile. */
  readonly database: Database.Database
  /** Where the new one is made. */
  readonly path: string
  /** What the new one says it has applied. */
  readonly progress: Progress
  readonly readFreeBytes: ReadFreeBytes
}

/** `kept`: SQLite's message; nothing was changed, and nothing is left of the new file. */
export type Rewriting = { readonly kind: 'ready' } | { readonly kind: 'kept'; readonly message: string }

/** SQLite's own words, which clients of rqlite know. */
const full: Rewriting = { kind: 'kept', message: 'database or disk is full' }

/**
 * What comes out lies durably at `path`. Whatever SQLite finds wrong, damage in the present database as well, leaves that as it is: it may be served for long, and who finds
 * out which node is wrong is node/lifecycle/content-checks.ts. Only a file system that refuses comes out as EnvironmentFailure.
 */
export function rewriteDatabase(task: RewritingTask): Rewriting {
  const { path } = task
  removeDatabase(path)
  if (task.readFreeBytes() < bytesInUse(task.database) + freeBytesMin) return full
  try {
    // SQLite would let others read it.
    closeSync(openSync(path, 'wx', 0o600))
    task.database.prepare('VACUUM INTO ?').run(path)
    finish(task)
  } catch (error) {
    removeDatabase(path)
    if (hasNoRoom(error)) return full
    if (error instanceof Database.SqliteError) return { kind: 'kept', message: error.message }
    throw new EnvironmentFailure('VACUUM could not make a file', { cause: error })
  }
  syncDatabase(path)
  return { kind: 'ready' }
}

/** Without free pages. */
export function bytesInUse(database: Database.Database): number {
  return pragma(database, 'page_size') * (pragma(database, 'page_count') - pragma(database, 'freelist_count'))
}

export function freeBytesIn(database: Database.Database): number {
  return pragma(database, 'page_size') * pragma(database, 'freelist_count')
}

function pragma(database: Database.Database, name: string): number {
  return database.pragma(name, { simple: true }) as number // these three give one integer, below 2^32
}

/** Only the new file is written, so only it can have found no room. A quota is told as an error of the disk. */
function hasNoRoom(error: unknown): boolean {
  if (isDiskFull(error)) return true
  return error instanceof Database.SqliteError && (error.code === 'SQLITE_FULL' || error.code === 'SQLITE_IOERR_WRITE')
}

interface SchemaRow {
  readonly rowid: number
  readonly type: string
  readonly name: string
}

function finish({ database, path, progress }: RewritingTask): void {
  const connection = new Database(path, { fileMustExist: true })
  try {
    connection.pragma('journal_mode = DELETE')
    connection.pragma('trusted_schema = OFF')
    const bookkeeping = openBookkeeping(connection)
    connection.unsafeMode(true)
    connection.pragma('writable_schema = ON')
    connection.transaction(() => {
      keepSequences(database, connection)
      orderSchema(database, connection)
      bookkeeping.write(progress, bookkeeping.read())
    })()
    connection.pragma(`schema_version = ${pragma(database, 'schema_version')}`)
  } finally {
    connection.close()
  }
}

/** Once made it stays, but VACUUM leaves it out where no table with AUTOINCREMENT is left. */
function keepSequences(before: Database.Database, after: Database.Database): void {
  const find = "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'"
  if (before.prepare(find).get() === undefined || after.prepare(find).get() !== undefined) return
  after.exec('CREATE TABLE main._securesql_counted (id INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE main._securesql_counted')
  const put = after.prepare('INSERT INTO main.sqlite_sequence (rowid, name, seq) VALUES (?, ?, ?)')
  for (const row of before.prepare('SELECT rowid, name, seq FROM main.sqlite_sequence').raw().safeIntegers().all())
    put.run(...(row as unknown[]))
}

/** VACUUM writes tables first, then indexes, then the rest: read without an order, the schema would be another one. */
function orderSchema(before: Database.Database, after: Database.Database): void {
  const list = 'SELECT rowid, type, name FROM main.sqlite_schema ORDER BY rowid'
  const places = new Map((before.prepare(list).all() as SchemaRow[]).map(({ rowid, type, name }) => [`${type} ${name}`, rowid])) // SQLite's own table
  const moved = (after.prepare(list).all() as SchemaRow[]).filter(({ rowid, type, name }) => places.get(`${type} ${name}`) !== rowid)
  const move = after.prepare('UPDATE main.sqlite_schema SET rowid = ? WHERE rowid = ?')
  // First out of the way: another one may still have the place.
  for (const { rowid } of moved) move.run(-rowid, rowid)
  for (const { rowid, type, name } of moved) move.run(places.get(`${type} ${name}`), -rowid)
}
