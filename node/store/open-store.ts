// Opens everything that a node keeps on disk, in the order in which each part vouches for the next: the lock, the identity, the log, the database.
import type Database from 'better-sqlite3'
import type { Logger } from 'pino'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { StoreFacts } from '../api/node-view.ts'
import type { Reader } from '../api/reader.ts'
import type { IdentityStore } from '../peer/cluster-identity.ts'
import type { NodeId } from '../raft/membership.ts'
import type { LogReader } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import type { StateMachine } from '../replica/state-machine.ts'
import { openDataDirectory, type DataDirectory, type DataDirectoryProblem } from './data-directory.ts'
import { DirectoryDisk } from './directory-disk.ts'
import type { OnFatal } from './fatal.ts'
import { openIdentityFile, type IdentityFile, type IdentityProblem } from './identity-file.ts'
import { createLog, type LogProblem } from './log-recovery.ts'
import { segmentOfName } from './segment-format.ts'
import { openSegmentLog, type SegmentLog } from './segment-log.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { readStoreFacts } from './store-facts.ts'
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
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

export interface Store {
  readonly identity: IdentityStore
  readonly log: LogStore
  readonly stateMachine: StateMachine
  readonly reader: Reader
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
  const database = openDatabase(directory.value, log.value.reader, options)
  if (!database.ok) {
    await log.value.close()
    return released(directory.value, database.problem)
  }
  options.logger.info(
    { appliedIndex: database.value.stateMachine.appliedIndex, lastIndex: log.value.reader.lastIndex(), term: log.value.hardState.term },
    'store opened',
  )
  return ok(compose(directory.value, identity.value, log.value, database.value))
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

function openDatabase(directory: DataDirectory, log: LogReader, options: StoreOptions): Result<OpenDatabase, StoreProblem> {
  const { onFatal } = options
  let connection: Database.Database | undefined
  try {
    connection = openWriteConnection(directory.databasePath)
    const stateMachine = new SqliteStateMachine(connection, { onFatal })
    const problem = compareWithLog(stateMachine, log)
    if (problem !== undefined) {
      connection.close()
      return fail(problem)
    }
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

/** Only entries that are durable here are ever applied, so the log holds what the database has applied, unless one of them was changed from outside. */
function compareWithLog(stateMachine: StateMachine, log: LogReader): StoreProblem | undefined {
  const { appliedIndex, appliedTerm } = stateMachine
  if (appliedIndex <= log.lastIndex() && (appliedIndex < log.base.index || log.termAt(appliedIndex) === appliedTerm)) return undefined
  return {
    code: 'database_ahead_of_log',
    message: `the database has applied entry ${appliedIndex} of term ${appliedTerm}, which the log (up to ${log.lastIndex()}) does not hold: one of them was lost or replaced`,
  }
}

function compose(directory: DataDirectory, identity: IdentityFile, log: SegmentLog, database: OpenDatabase): Store {
  const { stateMachine, reader, sqliteVersion } = database
  return {
    identity,
    log,
    stateMachine,
    reader,
    facts: () => readStoreFacts({ databasePath: directory.databasePath, sqliteVersion, log }),
    close: async () => {
      await log.close()
      reader.close()
      await stateMachine.close()
      directory.release()
    },
  }
}

function released(directory: DataDirectory, problem: StoreProblem): Result<never, StoreProblem> {
  directory.release()
  return fail(problem)
}
