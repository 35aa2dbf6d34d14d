// The database at start: opened without a look at more than its first pages, whatever its size; after an error of the disk, read as a whole before.
import { renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type Database from 'better-sqlite3'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Membership } from '../raft/membership.ts'
import { openBookkeeping } from './bookkeeping.ts'
import { createPrivately } from './data-directory.ts'
import { syncDirectory } from '../log/directory-disk.ts'
import type { OnFatal } from './fatal.ts'
import { isOnlyVoter } from './fitting-log.ts'
import type { IdentityFile } from './identity-file.ts'
import { examineDatabase } from './snapshot-examination.ts'
import { SqliteReader, type ReaderOptions } from './sqlite-reader.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import type { StoreLogger } from './store-logger.ts'
import { openWriteConnection } from './write-connection.ts'

export interface OpenDatabase {
  readonly stateMachine: SqliteStateMachine
  readonly reader: SqliteReader
  readonly sqliteVersion: string
}

export interface DatabaseProblem {
  /** SQLite refuses the file, or its bookkeeping is not ours. */
  readonly code: 'database_unreadable'
  readonly message: string
}

export async function openDatabase(
  path: string,
  options: {
    readonly identity: IdentityFile
    readonly onFatal: OnFatal
    readonly logger: StoreLogger
    readonly readers?: ReaderOptions['processes']
  },
): Promise<Result<OpenDatabase, DatabaseProblem>> {
  const { identity, onFatal, logger, readers } = options
  if (identity.isDatabaseSuspect) {
    // A write stumbles over an index that lacks a row, and would after every start again. Where nobody else has the data it is better served as it is.
    const isAlone = isOnlyVoter(identity.nodeId, identity.cluster?.members)
    const examined = await examineDatabase(path, { bytes: statSync(path).size, indexes: isAlone ? 'as they are' : 'compared' })
    if (!examined.ok) return unreadable(path, examined.problem)
    identity.suspectDatabase('sound')
  }
  let connection: Database.Database | undefined
  try {
    bringMembershipForward(path, identity.cluster?.members)
    connection = openWriteConnection(path)
    // Before the connection refuses it: what differs between nodes must not be asked where entries are applied.
    const sqliteVersion = String(connection.prepare('SELECT sqlite_version()').pluck().get())
    const stateMachine = new SqliteStateMachine(connection, { onFatal, logger })
    return ok({
      stateMachine,
      reader: new SqliteReader(path, {
        onFatal,
        schema: () => stateMachine.schema,
        ...(readers === undefined ? {} : { processes: readers }),
      }),
      sqliteVersion,
    })
  } catch (error) {
    connection?.close()
    return unreadable(path, error instanceof Error ? error.message : String(error))
  }
}

/** Who the members are as far as this file says; undefined when it says nothing, or cannot be read. */
export function membershipIn(path: string): Membership | undefined {
  let connection: Database.Database | undefined
  try {
    connection = openWriteConnection(path)
    return openBookkeeping(connection).read().membership
  } catch {
    return undefined // whoever opens it next says why
  } finally {
    connection?.close()
  }
}

export async function closeDatabase({ reader, stateMachine }: OpenDatabase): Promise<void> {
  reader.close()
  await stateMachine.close()
}

/** Keeps the file for whoever wants to look at it, and puts an empty one in its place. */
export function setDatabaseAside(path: string): string {
  const aside = `${path}.damaged`
  for (const suffix of ['-wal', '-shm']) {
    rmSync(`${aside}${suffix}`, { force: true })
    if (statSync(`${path}${suffix}`, { throwIfNoEntry: false }) !== undefined) renameSync(`${path}${suffix}`, `${aside}${suffix}`)
  }
  renameSync(path, aside)
  createPrivately(path)
  syncDirectory(dirname(path))
  return aside
}

/** A lost quorum was replaced by hand: the identity says so first, the database follows, and again should it have lost that (it may lose its last transactions). */
function bringMembershipForward(path: string, members: Membership | undefined): void {
  if (members?.epoch === undefined) return
  const connection = openWriteConnection(path)
  try {
    const bookkeeping = openBookkeeping(connection)
    const progress = bookkeeping.read()
    if (members.epoch <= (progress.membership?.epoch ?? 0)) return
    connection.transaction(() => bookkeeping.write({ ...progress, membership: members }, progress))()
  } finally {
    connection.close()
  }
}

function unreadable(path: string, reason: string): Result<never, DatabaseProblem> {
  return fail({ code: 'database_unreadable', message: `${path}: ${reason}` })
}
