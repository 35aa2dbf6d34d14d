// The WAL of a state machine without threads, which tests and simulations have.
import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import { runOwn } from './sqlite-failure.ts'

const walBytesMax = 8 * 1024 * 1024

/** Behind each group of entries. */
export function emptyLongWal(database: Database.Database): void {
  if ((statSync(`${database.name}-wal`, { throwIfNoEntry: false })?.size ?? 0) < walBytesMax) return
  // A reader of another process may hold it back (the row then says busy): the next group tries again.
  runOwn(() => database.pragma('wal_checkpoint(TRUNCATE)'))
}
