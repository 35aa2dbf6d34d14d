// The log at start, such that the database can go on from it. Where the two do not fit, or the log is damaged in its synced part, acknowledged entries may be gone: then
// the old log is put aside, a new one begins where the database stands, with the term and vote that can still be known, and the node counts as untrusted until it has
// caught up with what a quorum confirms. What makes that safe stands in one file that is replaced as a whole, before anything else is touched (identity.json).
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { HardState, LogBase, LogReader } from '../raft/raft-port.ts'
import { salvageHardState, setAside } from '../log/damaged-log.ts'
import { DirectoryDisk } from '../log/directory-disk.ts'
import type { OnFatal } from './fatal.ts'
import type { IdentityFile } from './identity-file.ts'
import { createLog, readSegment, segmentsOn, type LogProblem } from '../log/log-recovery.ts'
import { decodeSegmentHeader } from '../log/segment-format.ts'
import { openSegmentLog, type SegmentLog } from '../log/segment-log.ts'
import type { InstallIntent } from './snapshot-install.ts'
import type { StoreLogger } from './store-logger.ts'

export interface FittingProblem {
  /**
   * `database_ahead_of_log`: it has applied entries that the log does not hold: the log was lost or put back. `database_behind_log`: it needs entries that the log has given
   * up: the database was lost or put back. Both only on a node that is the only voter; others mend it. `log_vote_lost`: the log is damaged where its last write stood:
   * for whom this node has voted cannot be known.
   */
  readonly code: 'database_ahead_of_log' | 'database_behind_log' | 'log_vote_lost'
  readonly message: string
}

export interface LogPlace {
  readonly directory: string
  readonly identity: IdentityFile
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
}

/** Where the database stands, and an install that was interrupted before the log fitted it. */
export interface DatabasePoint {
  readonly applied: LogBase
  readonly membership: Membership | undefined
  readonly intent: InstallIntent | undefined
}

/** Makes the log that the identity promises: a first one, or one in place of a damaged one. May be done again after a crash at any step. */
export function makeLog({ directory, identity, logger }: LogPlace): void {
  const disk = new DirectoryDisk(directory)
  if (identity.logStart !== undefined && holdsAnotherLog(disk, identity)) {
    const path = setAside(directory)
    logger.warn({ path }, 'the old log was put aside')
  }
  createLog(disk, identity.logId, identity.logStart)
  identity.logMade()
}

export async function openFittingLog(place: LogPlace, database: DatabasePoint): Promise<Result<SegmentLog, LogProblem | FittingProblem>> {
  const { identity, logger } = place
  const opened = open(place)
  if (!opened.ok) {
    if (opened.problem.code !== 'log_corrupt') return opened
    const hardState = salvageHardState(new DirectoryDisk(place.directory), identity.logId)
    if (hardState === undefined) return fail({ code: 'log_vote_lost', message: voteLost(opened.problem.message) })
    return renew(place, { problem: opened.problem, database, hardState })
  }
  const log = opened.value
  if (log.tornBytes > 0) logger.warn({ bytes: log.tornBytes }, 'unfinished write cut from the end of the log')
  if (isLeftByInstall(log.reader, database)) await beginAnew(log, database.applied)
  const misfit = judge(log.reader, database.applied)
  if (misfit === undefined) return ok(log)
  await log.close()
  return renew(place, { problem: misfit, database, hardState: log.hardState })
}

function open({ directory, identity, onFatal }: LogPlace): Result<SegmentLog, LogProblem> {
  return openSegmentLog({ directory, logId: identity.logId, onFatal })
}

/** A crash came between a snapshot that was installed and the log that was to begin anew behind it, or to hold its place durably. */
function isLeftByInstall(log: LogReader, { applied, intent }: DatabasePoint): boolean {
  if (intent === undefined || intent.point.index !== applied.index || intent.point.term !== applied.term) return false
  return intent.reset ? log.base.index < applied.index : judge(log, applied) !== undefined
}

function beginAnew(log: SegmentLog, reset: LogBase): Promise<void> {
  return new Promise((resolve) => {
    log.onDurable(() => resolve())
    // Before the core's own, which count from 1.
    log.append({ sequence: 0, hardState: undefined, entries: [], reset })
  })
}

/** Only entries that are durable here are ever applied, and none is given up before the database holds it durably: the log holds the place where the database stands. */
function judge(log: LogReader, { index, term }: LogBase): FittingProblem | undefined {
  const applied = `the database has applied entry ${index} of term ${term}`
  if (index < log.base.index)
    return {
      code: 'database_behind_log',
      message: `${applied}, but the log begins behind entry ${log.base.index}: the database was lost or put back`,
    }
  if (index <= log.lastIndex() && log.termAt(index) === term) return undefined
  return {
    code: 'database_ahead_of_log',
    message: `${applied}, which the log (up to ${log.lastIndex()}) does not hold: one of them was lost or replaced`,
  }
}

function renew(
  place: LogPlace,
  found: { readonly problem: LogProblem | FittingProblem; readonly database: DatabasePoint; readonly hardState: HardState },
): Result<SegmentLog, LogProblem | FittingProblem> {
  const { identity, logger } = place
  const { problem, database, hardState } = found
  // An operator who has named the members anew vouches for what they hold.
  const isVouchedFor = identity.recoveredBy !== undefined
  if (!isVouchedFor && isOnlyVoter(identity.nodeId, database.membership ?? identity.cluster?.members))
    return fail({ code: problem.code, message: `${problem.message}. ${aloneText}` })
  const start = { base: database.applied, hardState: atLeast(hardState, database.applied.term) }
  identity.renewLog(start, isVouchedFor ? 'trusted' : 'untrusted')
  logger.error(
    { code: problem.code, reason: problem.message, beginsAfter: start.base.index, term: start.hardState.term, trust: identity.trust },
    'the log begins anew where the database stands; this node does not vote until it has caught up',
  )
  makeLog(place)
  return open(place)
}

/** The term of an applied entry was seen, whatever the log remembers. */
function atLeast(hardState: HardState, term: number): HardState {
  return hardState.term >= term ? hardState : { term, votedFor: undefined }
}

/** Nobody else could bring it up to date, or confirm that it is. */
export function isOnlyVoter(nodeId: NodeId, membership: Membership | undefined): boolean {
  const voters = membership?.members.filter(({ suffrage }) => suffrage === 'voter') ?? []
  return voters.length === 1 && voters[0]?.id === nodeId
}

/** What to do, for the person who reads it. */
export const aloneText =
  'This node is the only voter, so no other can repair it. Restore a backup into an empty data directory; or, to go on with what the database holds and accept that what ' +
  'came after it is lost, put raft/peers.json with this node alone into the data directory and start it again'

/** The same where the database cannot be read: who joined since this node formed its cluster stood there and nowhere else. */
export const perhapsAloneText =
  'As far as this node can still tell it is the only voter. If other nodes have joined it since it formed the cluster, they have the data: remove this node from the cluster, and start it with an ' +
  `empty data directory under a new node id. If none has: ${aloneText}`

function voteLost(message: string): string {
  return `${message}. For whom this node has voted cannot be known, so it must not come back under its name: remove it from the cluster, and start it with an empty data directory under a new node id`
}

/** Nothing of the log that is to be made stands there yet, but something does. */
function holdsAnotherLog(disk: DirectoryDisk, identity: IdentityFile): boolean {
  const segments = segmentsOn(disk)
  const isOurs = (segment: number): boolean =>
    typeof decodeSegmentHeader(readSegment(disk, segment, new Uint8Array(0)), identity.logId) === 'object'
  return segments.length > 0 && !segments.some(isOurs)
}
