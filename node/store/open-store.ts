// Opens everything that a node keeps on disk, in the order in which each part vouches for the next: the lock, the identity, the log, the database.
import type Database from 'better-sqlite3'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { StoreFacts } from '../api/node-view.ts'
import type { Reader } from '../api/reader.ts'
import type { IdentityStore } from '../peer/cluster-identity.ts'
import type { NodeId } from '../raft/membership.ts'
import type { LogBase, LogReader } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import type { SnapshotStore } from '../replica/snapshot-store.ts'
import type { StateMachine } from '../replica/state-machine.ts'
import type { TrustStore } from '../replica/trust-store.ts'
import { openDataDirectory, type DataDirectory, type DataDirectoryProblem } from './data-directory.ts'
import { DirectoryDisk } from './directory-disk.ts'
import { freeBytesBeside } from './disk-space.ts'
import type { OnFatal } from './fatal.ts'
import { openIdentityFile, type IdentityFile, type IdentityProblem } from './identity-file.ts'
import { createLog, type LogProblem } from './log-recovery.ts'
import { segmentOfName } from './segment-format.ts'
import { openSegmentLog, type SegmentLog } from './segment-log.ts'
import { openSnapshotDirectory, snapshotPaths, type SnapshotPaths } from './snapshot-directory.ts'
import { endInstall, installFiles, redoInstall, type InstallIntent, type InstallPlace } from './snapshot-install.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { SqliteSnapshotStore } from './sqlite-snapshot-store.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { readStoreFacts } from './store-facts.ts'
import type { StoreLogger } from './store-logger.ts'
import { openWriteConnection } from './write-connection.ts'

/** Nothing was changed when one of these comes back, but a torn tail of the log that was cut. */
export type StoreProblem =
  | DataDirectoryProblem
  | IdentityProblem
  | LogProblem
  /** `database_unreadable`: SQLite refuses the file. `database_ahead_of_log`: it has applied entries that the log does not hold: the log was lost or put back. */
  | { readonly code: 'database_unreadable' | 'database_ahead_of_log'; readonly message: string }

export interface StoreOptions {
  readonly dataDir: string
  readonly nodeId: NodeId
  /** Called at most a few times; the program must end. */
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
}

export interface Store {
  /** `life` counts the starts of this data directory: one that was put back counts backwards, which others notice. */
  readonly identity: IdentityStore & { readonly life: number }
  readonly log: LogStore
  readonly stateMachine: StateMachine
  readonly reader: Reader
  readonly snapshots: SnapshotStore
  readonly trust: TrustStore
  facts(): StoreFacts
  /** Writes what is under way, closes everything, gives the directory free. */
  close(): Promise<void>
}

export async function openStore(options: StoreOptions): Promise<Result<Store, StoreProblem>> {
  const directory = openDataDirectory(options.dataDir)
  if (!directory.ok) return directory
  if (directory.value.isOpenToOthers) options.logger.warn({ path: directory.value.path }, 'data directory can be read by others')
  const identity = openIdentity(directory.value, options.nodeId)
  if (!identity.ok) return released(directory.value, identity.problem)
  const log = openSegmentLog({ directory: directory.value.logPath, logId: identity.value.logId, onFatal: options.onFatal })
  if (!log.ok) return released(directory.value, log.problem)
  if (log.value.tornBytes > 0) options.logger.warn({ bytes: log.value.tornBytes }, 'unfinished write cut from the end of the log')
  const paths = snapshotPaths(directory.value.path)
  openSnapshotDirectory(paths)
  const place: InstallPlace = { files: installFiles, paths, databasePath: directory.value.databasePath }
  const intent = redoInstall(place)
  const database = openDatabase(directory.value, options)
  if (!database.ok) {
    await log.value.close()
    return released(directory.value, database.problem)
  }
  const problem = await fitLog(place, { log: log.value, stateMachine: database.value.stateMachine, intent })
  if (problem !== undefined) {
    await closeDatabase(database.value)
    await log.value.close()
    return released(directory.value, problem)
  }
  options.logger.info(
    { appliedIndex: database.value.stateMachine.appliedIndex, lastIndex: log.value.reader.lastIndex(), term: log.value.hardState.term },
    'store opened',
  )
  return ok(compose({ directory: directory.value, identity: identity.value, log: log.value, database: database.value, paths, options }))
}

function openIdentity(directory: DataDirectory, nodeId: NodeId): Result<IdentityFile, StoreProblem> {
  const disk = new DirectoryDisk(directory.logPath)
  const hasData = directory.hadDatabase || disk.names().some((name) => segmentOfName(name) !== undefined)
  const identity = openIdentityFile(directory.identityPath, { nodeId, hasData })
  if (!identity.ok) return identity
  if (!identity.value.isLogMade) {
    createLog(disk, identity.value.logId)
    identity.value.logMade()
  }
  return identity
}

interface OpenDatabase {
  readonly stateMachine: SqliteStateMachine
  readonly reader: SqliteReader
  readonly sqliteVersion: string
}

function openDatabase(directory: DataDirectory, options: StoreOptions): Result<OpenDatabase, StoreProblem> {
  const { onFatal } = options
  let connection: Database.Database | undefined
  try {
    connection = openWriteConnection(directory.databasePath)
    const stateMachine = new SqliteStateMachine(connection, { onFatal })
    const sqliteVersion = String(connection.prepare('SELECT sqlite_version()').pluck().get())
    return ok({ stateMachine, reader: new SqliteReader(directory.databasePath, { onFatal }), sqliteVersion })
  } catch (error) {
    connection?.close()
    // SQLite's refusal of the file, or bookkeeping that is not ours.
    return fail({
      code: 'database_unreadable',
      message: `${directory.databasePath}: ${error instanceof Error ? error.message : String(error)}`,
    })
  }
}

/** A crash may have come between a snapshot that was installed and the log that was to begin anew behind it: it does so now. */
async function fitLog(
  place: InstallPlace,
  parts: { readonly log: SegmentLog; readonly stateMachine: StateMachine; readonly intent: InstallIntent | undefined },
): Promise<StoreProblem | undefined> {
  const { log, stateMachine, intent } = parts
  const { appliedIndex, appliedTerm } = stateMachine
  if (intent !== undefined && intent.point.index === appliedIndex && intent.point.term === appliedTerm) {
    const isReset = log.reader.base.index >= appliedIndex
    if (!isReset && (intent.reset || !holdsApplied(log.reader, stateMachine))) await beginAnew(log, intent.point)
  }
  if (holdsApplied(log.reader, stateMachine)) {
    endInstall(place)
    return undefined
  }
  return {
    code: 'database_ahead_of_log',
    message: `the database has applied entry ${appliedIndex} of term ${appliedTerm}, which the log (up to ${log.reader.lastIndex()}) does not hold: one of them was lost or replaced`,
  }
}

/** Only entries that are durable here are ever applied, so the log holds what the database has applied, unless one of them was changed from outside. */
function holdsApplied(log: LogReader, { appliedIndex, appliedTerm }: StateMachine): boolean {
  return appliedIndex <= log.lastIndex() && (appliedIndex < log.base.index || log.termAt(appliedIndex) === appliedTerm)
}

function beginAnew(log: SegmentLog, reset: LogBase): Promise<void> {
  return new Promise((resolve) => {
    log.onDurable(() => resolve())
    // Before the core's own, which count from 1.
    log.append({ sequence: 0, hardState: undefined, entries: [], reset })
  })
}

function compose(parts: {
  readonly directory: DataDirectory
  readonly identity: IdentityFile
  readonly log: SegmentLog
  readonly database: OpenDatabase
  readonly paths: SnapshotPaths
  readonly options: StoreOptions
}): Store {
  const { directory, identity, log, paths } = parts
  const { stateMachine, reader, sqliteVersion } = parts.database
  const { databasePath } = directory
  const snapshots = new SqliteSnapshotStore({
    paths,
    databasePath,
    state: {
      get appliedIndex() {
        return stateMachine.appliedIndex
      },
      isInDoubt: false,
    },
    users: [],
    readFreeBytes: freeBytesBeside(databasePath),
    onFatal: parts.options.onFatal,
    logger: parts.options.logger,
  })
  return {
    identity,
    log,
    stateMachine,
    reader,
    snapshots,
    trust: identity,
    facts: () => readStoreFacts({ databasePath, sqliteVersion, log, snapshotBytes: snapshots.bytes() }),
    close: async () => {
      await snapshots.close()
      await log.close()
      await closeDatabase(parts.database)
      directory.release()
    },
  }
}

async function closeDatabase({ reader, stateMachine }: OpenDatabase): Promise<void> {
  reader.close()
  await stateMachine.close()
}

function released(directory: DataDirectory, problem: StoreProblem): Result<never, StoreProblem> {
  directory.release()
  return fail(problem)
}
