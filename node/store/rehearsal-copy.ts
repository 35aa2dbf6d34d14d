// A copy of the database in which a rehearsal may write: made in milliseconds, whatever the size, because only the WAL is copied, where the file system has hard links. A
// second name (a hard link) of the database file has a WAL and a WAL index of its own, so what is written there goes into that WAL and is thrown away with it. The file
// itself is never written: only a checkpoint would, automatic ones are off, nobody asks for one, and SQLite does none when it closes a database whose name is gone (pager.c, databaseIsUnmoved), which is why the second
// name is removed as soon as the file is open.
//
// Whoever calls holds a read transaction on the real database meanwhile, and begins it before: then the real checkpoints leave in the file what that transaction needs, and
// everything newer is in the copied WAL. For the same reason a whole copy, which is made where links cannot be, may be made while checkpoints write: what they write stands in
// the WAL, which is copied afterwards and read first.
import { closeSync, constants, copyFileSync, existsSync, linkSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type Database from 'better-sqlite3'
import { freeBytesBeside } from './disk-space.ts'
import { openWriteConnection } from './write-connection.ts'

export interface CopyPlace {
  readonly databasePath: string
  /** Exists, on the same file system, and belongs to the rehearsals. */
  readonly directory: string
}

const headerBytes = 32
/** A WAL is begun anew now and then; twice within a copy is rare. */
const triesMax = 10
/** Some seconds of a slow disk. */
const wholeBytesMax = 512 * 1024 * 1024

/** Name of the copy's database; `-wal` and `-shm` stand beside it. */
export function copyPath({ directory }: CopyPlace): string {
  return join(directory, 'copy.sqlite')
}

/** The copy before must be closed. */
export function openCopy(place: CopyPlace): Database.Database {
  const path = copyPath(place)
  removeCopy(place)
  try {
    makeName(place.databasePath, path)
    copyWal(`${place.databasePath}-wal`, `${path}-wal`)
    const connection = openWriteConnection(path)
    connection.pragma('synchronous = OFF')
    return connection
  } finally {
    rmSync(path, { force: true })
  }
}

/** Of the database, or of a copy of it. */
function makeName(databasePath: string, path: string): void {
  try {
    linkSync(databasePath, path)
  } catch (error) {
    // Which code a file system without links has differs (EPERM, ENOTSUP, EXDEV, EMLINK, ENOSYS). Whatever else it may be, a copy meets it, too.
    const { size } = statSync(databasePath)
    const bytesMax = Math.min(wholeBytesMax, freeBytesBeside(path)() / 4)
    if (size > bytesMax) throw new Error(`no hard link, and ${size} bytes are too many for a copy`, { cause: error })
    copyFileSync(databasePath, path, constants.COPYFILE_FICLONE)
  }
}

export function removeCopy(place: CopyPlace): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${copyPath(place)}${suffix}`, { force: true })
}

/** A WAL that begins anew while it is copied would leave frames of the old one, which the file has overtaken. */
function copyWal(from: string, to: string): void {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const before = headerOf(from)
    if (before === undefined) return
    copyFileSync(from, to)
    if (headerOf(from)?.equals(before) === true) return
    rmSync(to, { force: true })
  }
  throw new Error('the WAL is begun anew faster than it can be copied')
}

/** Undefined: there is no WAL, or an empty one. */
function headerOf(path: string): Buffer | undefined {
  if (!existsSync(path)) return undefined
  const descriptor = openSync(path, 'r')
  try {
    const header = Buffer.alloc(headerBytes)
    return readSync(descriptor, header, 0, headerBytes, 0) === headerBytes ? header : undefined
  } finally {
    closeSync(descriptor)
  }
}
