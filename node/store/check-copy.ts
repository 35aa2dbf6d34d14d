// The database as it is at one moment, for a process that reads all of it: a second name (a hard link) of the file, and a copy of its WAL. As with the copy for rehearsals
// (rehearsal-copy.ts), a read transaction that this process holds meanwhile keeps in the file what belongs to that moment, and everything else is in the copied WAL; here the
// WAL is copied before anything more can be written, so the copy stands exactly where the database stands.
import { copyFileSync, existsSync, linkSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { bookkeepingTable } from './bookkeeping.ts'

export interface CheckPlace {
  readonly databasePath: string
  /** On the same file system; belongs to the checks, which make and remove it. */
  readonly directory: string
}

/** What copying it takes, a millisecond for about 2 MiB, the loop is taken for. */
const walBytesMax = 64 * 1024 * 1024

export function checkCopyPath(directory: string): string {
  return join(directory, 'copy.sqlite')
}

/** Between two transactions of the one writer. Gives the connection that holds the state; throws what SQLite and the file system throw, and then nothing is left. */
export function pinForCheck({ databasePath, directory }: CheckPlace): Database.Database {
  removeCheckCopy(directory)
  const wal = `${databasePath}-wal`
  if ((statSync(wal, { throwIfNoEntry: false })?.size ?? 0) > walBytesMax) throw new Error('the WAL is too long to be copied')
  const pin = new Database(databasePath, { readonly: true, fileMustExist: true })
  try {
    pin.exec('BEGIN')
    pin.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).get()
    mkdirSync(directory, { mode: 0o700 })
    const path = checkCopyPath(directory)
    linkSync(databasePath, path)
    // SQLite has no locks on a WAL that could be lost when it is opened and closed here; on the database file it has.
    if (existsSync(wal)) copyFileSync(wal, `${path}-wal`)
    return pin
  } catch (error) {
    pin.close()
    removeCheckCopy(directory)
    throw error
  }
}

/** The other process's end. Only ever reads: a connection that may not write checkpoints nothing, also not when it is closed. */
export function openCheckCopy(directory: string): Database.Database {
  const path = checkCopyPath(directory)
  const copy = new Database(path, { readonly: true, fileMustExist: true })
  copy.pragma('temp_store = MEMORY')
  copy.exec('BEGIN')
  copy.pragma('schema_version') // the first read opens the WAL, and nothing looks for the names any more
  rmSync(path)
  return copy
}

export function removeCheckCopy(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}
