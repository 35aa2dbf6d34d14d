// Opens everything that a node keeps on disk, in the order in which each part vouches for the next: the lock, the identity, the database, the log.
import { statSync } from 'node:fs'
import { ok, fail, type Result } from '../../runtime/result.ts'
import type { StoreFacts } from '../api/node-view.ts'
import type { Reader } from '../api/reader.ts'
import type { Rehearsal } from '../api/rehearsal.ts'
import type { IdentityStore } from '../peer/cluster-identity.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { LogStore } from '../replica/log-store.ts'
import type { SnapshotStore } from '../replica/snapshot-store.ts'
import type { StateMachine } from '../replica/state-machine.ts'
import type { TrustStore } from '../replica/trust-store.ts'
import { openDataDirectory, type DataDirectory, type DataDirectoryProblem } from './data-directory.ts'
import { DatabaseChecks } from './database-checks.ts'
import { DatabaseCopier } from './database-copier.ts'
import { DirectoryDisk } from '../log/directory-disk.ts'
import { giveReserveFree } from '../log/disk-reserve.ts'
import { freeBytesBeside } from './disk-space.ts'
import type { OnFatal } from './fatal.ts'
import { aloneText, isOnlyVoter, makeLog, perhapsAloneText, openFittingLog, type FittingProblem, type LogPlace } from './fitting-log.ts'
import { openIdentityFile, type IdentityFile, type IdentityProblem } from './identity-file.ts'
import { segmentsOn, type LogProblem } from '../log/log-recovery.ts'
import { closeDatabase, membershipIn, openDatabase, setDatabaseAside, type DatabaseProblem, type OpenDatabase } from './open-database.ts'
import { finishRecovery, peersPath, recoverQuorum, type PeersFileProblem } from './peers-file.ts'
import type { PoolLimits } from './reader-pool.ts'
import type { SegmentLog } from '../log/segment-log.ts'
import { openSnapshotDirectory, snapshotPaths, type SnapshotPaths } from './snapshot-directory.ts'
import { endInstall, installFiles, redoInstall, type InstallIntent, type InstallPlace } from './snapshot-install.ts'
import type { ReaderOptions } from './sqlite-reader.ts'
import { Rehearsals } from './rehearsals.ts'
import type { RoomLeft } from './room-left.ts'
import { SqliteSnapshotStore } from './sqlite-snapshot-store.ts'
import { readStoreFacts } from './store-facts.ts'
import type { StoreLogger } from './store-logger.ts'
import { isDiskFull } from '../log/write-failure.ts'

/** When one of these comes back, nothing was changed but what an earlier start had begun, the count of starts, and a torn tail of the log that was cut. */
export type StoreProblem =
  | DataDirectoryProblem
  | IdentityProblem
  | PeersFileProblem
  | LogProblem
  | FittingProblem
  | DatabaseProblem
  /** The only voter, and its disk has been found wanting before: nobody can bring it up to date. */
  | { readonly code: 'untrusted_alone'; readonly message: string }

export interface StoreOptions {
  readonly dataDir: string
  readonly nodeId: NodeId
  /** Called at most a few times; the program must end. */
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
  /** Of the processes for reads that may take long; absent: such reads run in place, and nothing can end them. */
  readonly readers?: PoolLimits
}

export interface Store {
  /** `life` counts the starts of this data directory: one that was put back counts backwards, which others notice. */
  readonly identity: IdentityStore & { readonly life: number }
  readonly log: LogStore
  readonly stateMachine: StateMachine & { stateHashAt(index: number): string | undefined }
  readonly reader: Reader
  /** Without processes everything is taken to end soon. */
  readonly rehearsal: Rehearsal
  readonly snapshots: SnapshotStore
  readonly copier: DatabaseCopier
  readonly checks: DatabaseChecks
  readonly trust: TrustStore
  facts(): StoreFacts
  /** Cheap. See the state machine (sqlite-state-machine.ts). */
  vacuumedAtMs(): number
  /** Cheap. */
  roomLeft(): RoomLeft | undefined
  /** An entry is being applied by a thread: an orderly exit of the process would wait for it, for ever perhaps. */
  isHeldUp(): boolean
  /** Starts the processes for what may take long ahead of its first use. */
  warm(): void
  /** Writes what is under way, closes everything, gives the directory free. */
  close(): Promise<void>
}

interface Parts {
  readonly directory: DataDirectory
  readonly identity: IdentityFile
  readonly log: SegmentLog
  readonly database: OpenDatabase
  readonly paths: SnapshotPaths
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
  readonly readers: PoolLimits | undefined
  readonly wasClosed: boolean
}

/** Nothing is judged to be long, so nothing needs to be tried. */
const noRehearsal: Rehearsal = {
  judge: () => ({ cost: 0, changesSchema: false }),
  ready: () => Promise.resolve(),
  rehearse: () => Promise.resolve({ kind: 'unavailable' }),
}

export async function openStore(options: StoreOptions): Promise<Result<Store, StoreProblem>> {
  const { logger } = options
  const directory = openDataDirectory(options.dataDir)
  if (!directory.ok) return directory
  if (directory.value.isOpenToOthers) logger.warn({ path: directory.value.path }, 'data directory can be read by others')
  const parts = await openParts(directory.value, options)
  if (!parts.ok) {
    directory.value.release()
    return parts
  }
  const { identity, log, database } = parts.value
  const { appliedIndex } = database.stateMachine
  logger.info(
    { appliedIndex, lastIndex: log.reader.lastIndex(), term: log.hardState.term, trust: identity.trust, life: identity.life },
    'store opened',
  )
  return ok(compose(parts.value))
}

async function openParts(directory: DataDirectory, options: StoreOptions): Promise<Result<Parts, StoreProblem>> {
  const { logger } = options
  const opened = openIdentityFile(directory.identityPath, { nodeId: options.nodeId, hasData: hasData(directory) })
  if (!opened.ok) return opened
  const identity = opened.value
  const wasClosed = wasClosedAsUsual(directory.databasePath)
  const begun = goOnWithWhatWasBegun(directory, identity, logger)
  if (!begun.ok) return begun
  const { paths, install, intent } = begun.value
  let membership: () => Membership | undefined = () => identity.cluster?.members
  const onFatal = remembering(options.onFatal, { identity, membership: () => membership() })
  const readers = options.readers === undefined ? {} : { readers: { ...options.readers, logger } }
  const data = await openData({ directory, identity, onFatal, logger, intent, ...readers })
  if (!data.ok) return data
  const { log, database } = data.value
  membership = () => database.stateMachine.membership ?? identity.cluster?.members
  // Log and database fit each other durably: what was begun has ended.
  endInstall(install)
  finishRecovery(peersPath(directory.logPath))
  // The same file may be meant again one day, without a start in between.
  identity.recovered()
  countStart(identity, { disk: new DirectoryDisk(directory.logPath), logger })
  return ok({ directory, identity, log, database, paths, onFatal, logger, readers: options.readers, wasClosed })
}

interface Begun {
  readonly paths: SnapshotPaths
  readonly install: InstallPlace
  /** The snapshot that was being installed. */
  readonly intent: InstallIntent | undefined
}

/** What an earlier life, or an operator, has begun with the files, before any of them is opened: an install, a recovery by hand. */
function goOnWithWhatWasBegun(directory: DataDirectory, identity: IdentityFile, logger: StoreLogger): Result<Begun, PeersFileProblem> {
  const { databasePath, logPath } = directory
  const paths = snapshotPaths(directory.path)
  const install = { files: installFiles, paths, databasePath }
  const intent = redoInstall(install)
  openSnapshotDirectory(paths)
  const recovered = recoverQuorum(peersPath(logPath), { identity, inForce: () => membershipIn(databasePath) })
  if (!recovered.ok) return recovered
  if (recovered.value !== undefined)
    logger.warn({ members: recovered.value.members.map(({ id }) => id), epoch: recovered.value.epoch }, 'members replaced by peers.json')
  return ok({ paths, install, intent })
}

/** The database says where it stands, then the log must fit it; then a database that could not be read is replaced by an empty one, which the log or a member fills. */
async function openData(parts: {
  readonly directory: DataDirectory
  readonly identity: IdentityFile
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
  readonly intent: InstallIntent | undefined
  readonly readers?: ReaderOptions['processes']
}): Promise<Result<{ readonly log: SegmentLog; readonly database: OpenDatabase }, StoreProblem>> {
  const { directory, identity, onFatal, logger, intent } = parts
  const place: LogPlace = { directory: directory.logPath, identity, onFatal, logger }
  if (!identity.isLogMade) makeLog(place)
  const found = await openDatabase(directory.databasePath, parts)
  const log = await openLog(place, { found, intent })
  if (!log.ok) {
    if (found.ok) await closeDatabase(found.value)
    return log
  }
  const database = found.ok ? found : await openEmpty(found.problem, parts)
  if (!database.ok) {
    await log.value.close()
    return database
  }
  return ok({ log: log.value, database: database.value })
}

/** On a full disk the log's reserve makes room for it. A start that is not counted looks to others as if this node had been put back: it has no vote for a while, and lives. */
function countStart(identity: IdentityFile, place: { readonly disk: DirectoryDisk; readonly logger: StoreLogger }): void {
  try {
    identity.countStart()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    if (giveReserveFree(place.disk)) return countStart(identity, place)
    place.logger.warn('no room to count this start')
  }
}

/** Whoever closes it last takes its WAL away. What ended otherwise may have ended with the machine, and who knows what its disk made of that. */
function wasClosedAsUsual(databasePath: string): boolean {
  return (statSync(`${databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0
}

function hasData(directory: DataDirectory): boolean {
  return directory.hadDatabase || segmentsOn(new DirectoryDisk(directory.logPath)).length > 0
}

/** A log that goes with the database; one that cannot be read counts as empty. */
async function openLog(
  place: LogPlace,
  database: { readonly found: Result<OpenDatabase, DatabaseProblem>; readonly intent: InstallIntent | undefined },
): Promise<Result<SegmentLog, StoreProblem>> {
  const { identity } = place
  const { found, intent } = database
  const machine = found.ok ? found.value.stateMachine : undefined
  const membership = machine?.membership ?? identity.cluster?.members
  if (identity.trust === 'untrusted' && isOnlyVoter(identity.nodeId, membership))
    return fail({
      code: 'untrusted_alone',
      message: `this node's disk has been found wanting before. ${found.ok ? aloneText : perhapsAloneText}`,
    })
  const applied = { index: machine?.appliedIndex ?? 0, term: machine?.appliedTerm ?? 0 }
  const log = await openFittingLog(place, { applied, membership, intent })
  // That the database is unreadable says more than that it is behind.
  return !log.ok && !found.ok && log.problem.code === 'database_behind_log'
    ? fail({ ...found.problem, message: `${found.problem.message}. ${perhapsAloneText}` })
    : log
}

/** In place of a database that cannot be read. What it held comes from the log when that is whole, from a member's snapshot otherwise. */
function openEmpty(
  problem: DatabaseProblem,
  parts: {
    readonly directory: DataDirectory
    readonly identity: IdentityFile
    readonly onFatal: OnFatal
    readonly logger: StoreLogger
    readonly readers?: ReaderOptions['processes']
  },
): Promise<Result<OpenDatabase, DatabaseProblem>> {
  const { databasePath } = parts.directory
  const path = setDatabaseAside(databasePath)
  parts.identity.suspectDatabase('sound')
  parts.logger.error({ code: problem.code, reason: problem.message, path }, 'the database was put aside, an empty one takes its place')
  return openDatabase(databasePath, parts)
}

/** What a failure of the disk says about this node's word is remembered before the process ends, on another file than the one that failed; should that fail too, nothing is lost by it. */
function remembering(
  onFatal: OnFatal,
  node: { readonly identity: IdentityFile; readonly membership: () => Membership | undefined },
): OnFatal {
  const { identity, membership } = node
  return (problem) => {
    try {
      if (problem.code === 'log_write_failed' && !isOnlyVoter(identity.nodeId, membership())) identity.setTrust('untrusted')
      if (problem.code === 'database_failed') identity.suspectDatabase('suspect')
    } catch {
      // The disk has failed altogether; the next start judges by what it finds.
    }
    onFatal(problem)
  }
}

function compose(parts: Parts): Store {
  const { directory, identity, log, paths } = parts
  const { stateMachine, reader, sqliteVersion } = parts.database
  const { databasePath } = directory
  const rehearsals =
    parts.readers === undefined
      ? undefined
      : new Rehearsals({ ...parts.readers, databasePath, judge: (statements) => reader.judge(statements), logger: parts.logger })
  const copier = new DatabaseCopier(databasePath)
  const checks = new DatabaseChecks({
    databasePath,
    isWanted: !parts.wasClosed,
    holdWal: (state) => stateMachine.holdWal(state),
    disown: (divergence) => stateMachine.disown(divergence),
    logger: parts.logger,
  })
  stateMachine.onCheckMark((mark, index) => checks.mark(mark, index))
  const snapshots = new SqliteSnapshotStore({
    paths,
    databasePath,
    state: stateMachine,
    users: [stateMachine, reader, ...(rehearsals === undefined ? [] : [rehearsals]), copier, checks],
    readFreeBytes: freeBytesBeside(databasePath),
    onFatal: parts.onFatal,
    logger: parts.logger,
  })
  stateMachine.onReplaced((from, point, content) => snapshots.replaceByEntry(from, point, content))
  return {
    identity,
    log,
    stateMachine,
    reader,
    rehearsal: rehearsals ?? noRehearsal,
    snapshots,
    copier,
    checks,
    trust: identity,
    facts: () =>
      readStoreFacts({ databasePath, sqliteVersion, foreignKeys: stateMachine.foreignKeys, log, snapshotBytes: snapshots.bytes() }),
    vacuumedAtMs: () => stateMachine.vacuumedAtMs,
    roomLeft: () => stateMachine.roomLeft(),
    isHeldUp: () => stateMachine.isApplyingElsewhere,
    warm: () => {
      reader.warm()
      rehearsals?.warm()
    },
    close: async () => {
      rehearsals?.close()
      checks.close()
      await snapshots.close()
      await copier.close()
      await log.close()
      await closeDatabase(parts.database)
      // What still writes must not meet another process; the end of this one gives the directory free.
      if (!stateMachine.isApplyingElsewhere) directory.release()
    },
  }
}
