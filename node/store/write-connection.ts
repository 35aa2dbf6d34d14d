// The one connection that changes the database. Its settings are the same on every node, because results depend on them; the gate lets no client change them.
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { EnvironmentFailure } from './sqlite-failure.ts'

/** Another program may hold the database for a moment (a backup that checkpoints); longer than this and the node gives up: heartbeats wait meanwhile. */
const busyTimeoutMs = 1_000
/** A process that was killed has given its locks back by then. */
const aloneMsMax = 5_000
const aloneEveryMs = 2

/** Half of what better-sqlite3 gives by itself: there are several connections, and behind each cache stands the system's. */
const cacheKibibytes = 8192

/** Foreign keys are a setting of the cluster: whoever applies entries sets what the database says (upkeep-runner.ts). */
export function openWriteConnection(path: string): Database.Database {
  const database = new Database(path, { fileMustExist: true, timeout: busyTimeoutMs })
  database.pragma('journal_mode = WAL')
  // Durability is the log's: after a power failure the database is an older, whole state (never a torn one, which OFF could leave).
  database.pragma('synchronous = NORMAL')
  // The state machine empties the WAL between groups; SQLite would do it in the middle of a commit.
  database.pragma('wal_autocheckpoint = 0')
  database.pragma('recursive_triggers = OFF')
  database.pragma('temp_store = MEMORY')
  database.pragma('cell_size_check = ON')
  database.pragma(`cache_size = -${cacheKibibytes}`)
  return database
}

/**
 * Returns when nobody else has the database open and nothing of its WAL is left; throws when that does not happen. Blocks. The last connection to close takes the WAL
 * away; while a process that was killed has not gone yet, one that is opened and closed again finds out whether it was the last.
 */
export function waitUntilAlone(path: string): void {
  const untilMs = performance.now() + aloneMsMax
  const clock = new Int32Array(new SharedArrayBuffer(4))
  while (existsSync(`${path}-wal`)) {
    if (performance.now() > untilMs)
      throw new EnvironmentFailure('the database cannot be replaced: another program, or a reader of this one, has it open')
    Atomics.wait(clock, 0, 0, aloneEveryMs)
    openWriteConnection(path).close()
  }
}
