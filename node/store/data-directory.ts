// The data directory: ours alone (0700, files 0600) and held by one process at a time. Node has no flock; the lock is SQLite's own exclusive lock on a file of one
// purpose, taken from the operating system (fcntl), so it ends with the process however that ends. Nothing else may ever open lock.db: closing any other descriptor
// of a file drops a process's fcntl locks on it.
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { fail, ok, type Result } from '../../runtime/result.ts'

export interface DataDirectoryProblem {
  /** `data_dir_locked`: another process uses it. `data_dir_unusable`: it cannot be made, read or written. */
  readonly code: 'data_dir_locked' | 'data_dir_unusable'
  readonly message: string
}

export interface DataDirectory {
  readonly path: string
  /** `db.sqlite`. Exists, 0600 (SQLite gives its -wal and -shm the same). */
  readonly databasePath: string
  readonly logPath: string
  readonly identityPath: string
  /** The database was there before, with something in it. */
  readonly hadDatabase: boolean
  /** Others can read the directory and we cannot change that, because it is not ours (a mounted volume, for example). */
  readonly isOpenToOthers: boolean
  release(): void
}

export function openDataDirectory(dataDir: string): Result<DataDirectory, DataDirectoryProblem> {
  const path = resolve(dataDir)
  const logPath = join(path, 'raft')
  const databasePath = join(path, 'db.sqlite')
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const lock = takeLock(join(path, 'lock.db'))
    if (lock === undefined)
      return fail({ code: 'data_dir_locked', message: `${path} is in use by another process: one node, one data directory` })
    const isOpenToOthers = !makePrivate(path)
    mkdirSync(logPath, { recursive: true, mode: 0o700 })
    createPrivately(databasePath)
    const hadDatabase = statSync(databasePath).size > 0
    return ok({
      path,
      databasePath,
      logPath,
      identityPath: join(path, 'identity.json'),
      hadDatabase,
      isOpenToOthers,
      release: () => lock.close(),
    })
  } catch (error) {
    // Expected here: what the operating system says of a path that cannot be used.
    return fail({
      code: 'data_dir_unusable',
      message: `${path} cannot be used as a data directory: ${error instanceof Error ? error.message : String(error)}`,
    })
  }
}

/** Undefined: another process, or another part of this one, holds it. */
function takeLock(path: string): Database.Database | undefined {
  createPrivately(path)
  const lock = new Database(path, { timeout: 0 })
  try {
    lock.pragma('locking_mode = EXCLUSIVE')
    lock.exec('BEGIN EXCLUSIVE') // never ended: the lock lives as long as the transaction
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return undefined
    throw error
  }
}

/** Only ever creates: a file that exists may be locked by us, and opening and closing it would drop that lock. */
export function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    chmodSync(path, 0o600)
  }
}

function makePrivate(path: string): boolean {
  if ((statSync(path).mode & 0o077) === 0) return true
  try {
    chmodSync(path, 0o700)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPERM') return false // someone else's directory that lets us in
    throw error
  }
}
