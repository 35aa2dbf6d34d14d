// How a node's log is opened at its start, with the production's parts in the order of store/open-store.ts: an interrupted installation is finished, damage in the synced
// part is set aside with what can be saved of it, a log that did not follow an installed snapshot begins anew.
import type { LogBase, LogReader } from '../raft/raft-port.ts'
import { salvageHardState } from '../log/damaged-log.ts'
import { startInlineWriter, type WriterStep } from '../log/inline-log-writer.ts'
import { createLog, recoverLog } from '../log/log-recovery.ts'
import { segmentName } from '../log/segment-format.ts'
import { openSegmentLogOn, type SegmentLog } from '../log/segment-log.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import type { SimDatabase } from './sim-machine.ts'
import type { SimNode } from './sim-node.ts'
import { must } from './violation.ts'
import type { World } from './world.ts'

/** Small, so that a run passes from one segment to the next many times and reads from them. */
const logLimits = { segmentBytesMax: 8 * 1024, recentBytesMax: 4 * 1024 }

/** The frame that is written at each opening, with the longest vote here. */
const openedFrameBytes = 120

export interface OpenedLog {
  readonly log: SegmentLog
  /** Where it has to begin anew before it is used. */
  readonly reset: LogBase | undefined
}

export function openNodeLog(
  node: SimNode,
  parts: { readonly world: World; readonly life: Life; readonly chance: Chance },
): OpenedLog | 'must be replaced' {
  const { sometimes } = parts.world
  if (!node.isLogMade) createLog(node.disk, node.logId, node.logStart)
  // As the identity file says: only from now on is a log that is gone a damage.
  node.isLogMade = true
  const intent = redoInstall(node)
  const opened = open(node, parts) ?? openDamaged(node, parts)
  if (opened === undefined) return 'must be replaced'
  if (opened.tornBytes > 0) sometimes.met('torn tail cut')
  const found = { hardState: opened.hardState, reader: opened.reader }
  if (node.formerly === undefined) node.durable.recovered(found, node.id)
  else node.durable.damaged(found)
  const { database } = node
  const isBehind =
    intent !== undefined && opened.reader.base.index < intent.index && (intent.reset || !holdsApplied(opened.reader, database))
  if (isBehind) sometimes.met('log begun anew at the start')
  must(
    isBehind || holdsApplied(opened.reader, database),
    'restart',
    () => `${node.id}: its database stands at ${database.appliedIndex}, its log ends at ${opened.reader.lastIndex()}`,
  )
  if (!isBehind) node.staging.installing = undefined
  return { log: opened, reset: isBehind ? { index: database.appliedIndex, term: database.appliedTerm } : undefined }
}

/** Undefined: damaged. */
function open(
  node: SimNode,
  { world, life, chance }: { readonly world: World; readonly life: Life; readonly chance: Chance },
): SegmentLog | undefined {
  const schedule = (step: WriterStep, turn: () => void): void => {
    world.queue.after(chance.exponential(step === 'sync' ? node.diskDelayMs : node.diskDelayMs / 10), life, turn)
  }
  const opened = openSegmentLogOn(node.disk, startInlineWriter(node.disk, schedule), {
    logId: node.logId,
    onFatal: (problem) => world.fatal(node, problem),
    limits: logLimits,
  })
  if (opened.ok) {
    life.provenBytes = provenBytes(node)
    return opened.value
  }
  if (opened.problem.code === 'log_disk_full') throw Object.assign(new Error(opened.problem.message), { syscall: 'write' })
  must(node.formerly !== undefined, 'restart', () => `${node.id} refuses to start: ${opened.problem.message}`)
  world.sometimes.met(`damage found: ${opened.problem.code}`)
  return undefined
}

/** By file: what stands before the frame that has just been written, which proves that it had been synced. */
function provenBytes(node: SimNode): ReadonlyMap<string, number> {
  const recovered = recoverLog(node.disk.copy(), node.logId)
  const segments = recovered.ok ? recovered.value.end.segments : []
  return new Map(
    segments.map(({ segment, bytes }, at) => [segmentName(segment), at < segments.length - 1 ? bytes : bytes - openedFrameBytes]),
  )
}

function openDamaged(
  node: SimNode,
  parts: { readonly world: World; readonly life: Life; readonly chance: Chance },
): SegmentLog | undefined {
  const hardState = salvageHardState(node.disk, node.logId)
  if (hardState === undefined) return undefined
  // The log begins anew where the database stands: it must stand there after a power failure, too.
  node.database.makeDurable()
  const { appliedIndex, appliedTerm } = node.database
  node.trust.setTrust('untrusted')
  // Noted first, as in the identity file: a crash in the middle begins again, with an id that no segment of the old log has.
  node.renewLog({ base: { index: appliedIndex, term: appliedTerm }, hardState })
  createLog(node.disk, node.logId, node.logStart)
  node.isLogMade = true
  return open(node, parts)
}

/** A crash came between the intent and the database: the database is put in place now. */
function redoInstall(node: SimNode): { readonly index: number; readonly reset: boolean } | undefined {
  const { installing } = node.staging
  if (installing === undefined) return undefined
  if (node.database.appliedIndex < installing.point.index) node.database.replace(installing.bytes)
  return node.database.appliedIndex === installing.point.index ? { index: installing.point.index, reset: installing.reset } : undefined
}

function holdsApplied(log: LogReader, { appliedIndex, appliedTerm }: Pick<SimDatabase, 'appliedIndex' | 'appliedTerm'>): boolean {
  return appliedIndex <= log.lastIndex() && (appliedIndex < log.base.index || log.termAt(appliedIndex) === appliedTerm)
}
