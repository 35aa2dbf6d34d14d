// The durable barrier. A database in WAL mode with synchronous NORMAL is whole after a power failure but may lack its last transactions, because SQLite syncs only when it
// checkpoints. What was committed stands either in the database file, synced by the checkpoint that put it there, or in the WAL as it is now: one sync of the WAL makes all
// of it durable, without a transaction and so without the write lock.
//
// The WAL carries none of SQLite's locks (they are on the database file and in the -shm), so opening and closing it here takes none away. The database file itself must
// never be opened like this: closing it would drop the locks of the whole process.
import { closeSync, fdatasyncSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectory } from '../log/directory-disk.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'

/** Everything that was committed to the database at `path` before the call survives a power failure when it returns. Never tried again after an error. */
export function syncWal(path: string): void {
  try {
    const descriptor = openSync(`${path}-wal`, 'r+')
    try {
      fdatasyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    // SQLite makes the WAL's name durable with its own first sync of it, which may not have come yet.
    syncDirectory(dirname(path))
  } catch (error) {
    // Nothing but the system's calls stands above. A missing WAL is a failure too: an open database has one.
    throw new EnvironmentFailure(`the WAL could not be synced: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
