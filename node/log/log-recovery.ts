// Reads the log back, one segment at a time. The one judgement that matters is between a torn tail and corruption. A frame is written only after the one before it was
// synced, so damage with a valid frame (or a later segment) behind it is in the synced part: never cut, the node must not open. Damage with nothing valid behind it is
// what a power failure leaves of the write that was under way: nobody was promised it, it is cut.
// (Damage done later to the very last frame looks the same and is cut too, unless the log was closed in order or opened again since: that writes one more frame.)
// Nothing on the disk is changed before the whole log was found to be good.
import { fail, ok, type Result } from '../../runtime/result.ts'
import { readEntry } from '../raft/entry.ts'
import type { HardState, LogBase } from '../raft/raft-port.ts'
import { EntryIndex } from './entry-index.ts'
import type { LogDisk } from './log-disk.ts'
import {
  decodeFrame,
  decodeSegmentHeader,
  hasFrameBehind,
  isZeroFrom,
  segmentHeaderBytes,
  segmentName,
  segmentOfName,
  type Frame,
  type LogId,
} from './segment-format.ts'
import { SegmentWriter, createSegment, type LogEnd, type SegmentExtent } from './segment-writer.ts'

export interface LogProblem {
  /**
   * `log_missing`: no segments where there must be some. `log_corrupt`: damage in what had been synced. `log_of_another_node`: made with another data directory.
   * `log_disk_full`: the log is good, but there is no room to go on.
   */
  readonly code: 'log_missing' | 'log_corrupt' | 'log_of_another_node' | 'log_disk_full'
  readonly message: string
}

export interface RecoveredLog {
  readonly index: EntryIndex
  readonly end: LogEnd
  /** Bytes of an unfinished write that were cut. */
  readonly tornBytes: number
}

/** What a log begins with: nothing, or what is left of an older one. */
export interface LogStart {
  readonly base: LogBase
  readonly hardState: HardState
}

const emptyStart: LogStart = { base: { index: 0, term: 0 }, hardState: { term: 0, votedFor: undefined } }

/**
 * Begins a log, or begins it again when a crash has left half of its first segment: segments that are there are removed. Durable when it returns; then it holds a frame,
 * so a log without one has been damaged.
 */
export function createLog(disk: LogDisk, logId: LogId, start: LogStart = emptyStart): void {
  for (const segment of segmentsOn(disk)) disk.remove(segmentName(segment))
  createSegment(disk, logId, { segment: 1, firstFrame: 1 }).close()
  const segments = [{ segment: 1, indexMax: 0, bytes: segmentHeaderBytes }]
  const writer = new SegmentWriter(disk, { logId, end: { frame: 0, ...start, segments }, segmentBytesMax: Infinity, prepareBytes: 0 })
  writer.write({ kind: 'opened', hardState: start.hardState, entryCount: 0, entries: [], indexMax: 0 })
  writer.close()
  disk.syncDirectory()
}

export function recoverLog(disk: LogDisk, logId: LogId): Result<RecoveredLog, LogProblem> {
  const present = segmentsOn(disk)
  if (present.length === 0) return fail({ code: 'log_missing', message: 'the log is gone: no segment is left of it' })
  // Behind the last hole: an interrupted removal may have taken any of those before. Whether the hole is one of those, the frames say (`firstSegment`).
  const start = present.findLastIndex((segment, position) => position === 0 || segment !== (present[position - 1] ?? 0) + 1)
  const segments = present.slice(start)
  const recovery = new Recovery(disk, logId, segments)
  for (const segment of segments) {
    const problem = recovery.take(segment)
    if (problem !== undefined) return fail(problem)
  }
  const recovered = recovery.result()
  if (recovered.ok) removeAll(disk, [...present.slice(0, start), ...recovery.superfluous])
  return recovered
}

export function segmentsOn(disk: LogDisk): readonly number[] {
  return disk
    .names()
    .map(segmentOfName)
    .filter((segment) => segment !== undefined)
    .toSorted((a, b) => a - b)
}

/** Reads a segment into `buffer`, or into a larger one when it must: one buffer serves for all, so that opening a long log takes the memory of one segment. */
export function readSegment(disk: LogDisk, segment: number, buffer: Uint8Array): Uint8Array {
  const file = disk.open(segmentName(segment))
  try {
    const size = file.size()
    const bytes = (size <= buffer.length ? buffer : new Uint8Array(size)).subarray(0, size)
    file.read(bytes, 0)
    return bytes
  } finally {
    file.close()
  }
}

class Recovery {
  readonly #disk: LogDisk
  readonly #logId: LogId
  readonly #first: number
  readonly #last: number
  #buffer: Uint8Array = new Uint8Array(0)
  readonly #extents: SegmentExtent[] = []
  // Undefined before the first entry: while older segments are given up, the log may begin anywhere at or below the base that a later frame tells.
  #index: EntryIndex | undefined
  #beginsAtReset = false
  #newest: Frame | undefined
  #frameNumber: number | undefined
  #torn: { readonly segment: number; readonly keptBytes: number; readonly bytes: number } | undefined

  constructor(disk: LogDisk, logId: LogId, segments: readonly number[]) {
    this.#disk = disk
    this.#logId = logId
    this.#first = segments[0] ?? 0
    this.#last = segments.at(-1) ?? 0
  }

  take(segment: number): LogProblem | undefined {
    const bytes = readSegment(this.#disk, segment, this.#buffer)
    if (bytes.length > this.#buffer.length) this.#buffer = bytes
    const header = decodeSegmentHeader(bytes, this.#logId)
    if (header === 'another_log') {
      return { code: 'log_of_another_node', message: `segment ${segmentName(segment)} belongs to another data directory` }
    }
    if (header === 'header_damaged') {
      // The first segment is whole before the identity file says that there is a log, and no segment is removed before a frame stands in a later one.
      const isTorn = segment === this.#last && segment !== this.#first && !hasFrameBehind(this.#logId, segment, bytes, 0)
      if (!isTorn) return corrupt(segment, 0, 'its header is damaged')
      this.#torn = { segment, keptBytes: 0, bytes: bytes.length }
      return undefined
    }
    this.#frameNumber ??= header.firstFrame - 1
    if (header.segment !== segment || header.firstFrame !== this.#frameNumber + 1)
      return corrupt(segment, 0, 'it does not follow the one before it')
    return this.#takeFrames(segment, bytes, this.#frameNumber)
  }

  /** Needed no more since the newest frame; a crash came before their removal. */
  get superfluous(): readonly number[] {
    const firstNeeded = this.#newest?.firstSegment ?? 0
    return this.#extents.map(({ segment }) => segment).filter((segment) => segment < firstNeeded)
  }

  result(): Result<RecoveredLog, LogProblem> {
    const newest = this.#newest
    // Every log is begun with a frame, which is durable before anything else is.
    if (newest === undefined) return fail(corrupt(this.#first, segmentHeaderBytes, 'not one write is whole'))
    if (this.#first > newest.firstSegment) return fail(corrupt(newest.firstSegment, 0, 'the segment is missing'))
    const { base, hardState } = newest
    const index = this.#index ?? new EntryIndex(base)
    if (base.index < index.base.index) return fail(corrupt(this.#first, 0, `entries from ${base.index + 1} on are missing before it`))
    index.compact(base)
    this.#cutTail()
    const segments = this.#extents.filter(({ segment }) => segment >= newest.firstSegment)
    return ok({ index, end: { frame: newest.number, hardState, base, segments }, tornBytes: this.#torn?.bytes ?? 0 })
  }

  #takeFrames(segment: number, bytes: Uint8Array, numberBefore: number): LogProblem | undefined {
    let offset = segmentHeaderBytes
    let indexMax = 0
    let number = numberBefore
    while (offset < bytes.length) {
      const frame = decodeFrame(this.#logId, segment, bytes, offset)
      if (frame === undefined) {
        // Prepared and not used. Had frames stood there, then in another segment than the last one their numbers are missed by the next.
        if (isZeroFrom(bytes, offset)) break
        if (segment !== this.#last || hasFrameBehind(this.#logId, segment, bytes, offset))
          return corrupt(segment, offset, 'a checksum is wrong')
        this.#torn = { segment, keptBytes: offset, bytes: bytes.length - offset }
        break
      }
      if (frame.number !== number + 1) return corrupt(segment, offset, 'a write is missing before it')
      const problem = this.#takeFrame(segment, bytes, frame)
      if (typeof problem === 'object') return problem
      indexMax = Math.max(indexMax, problem)
      number = frame.number
      offset = frame.end
    }
    this.#frameNumber = number
    this.#extents.push({ segment, indexMax, bytes: offset })
    return undefined
  }

  /** Gives the highest index in the frame. */
  #takeFrame(segment: number, bytes: Uint8Array, frame: Frame): number | LogProblem {
    const before = this.#newest?.base
    if (frame.kind === 'reset') {
      this.#index = new EntryIndex(frame.base)
      this.#beginsAtReset = true
    } else if (before !== undefined && !isAtOrAfter(frame.base, before)) {
      return corrupt(segment, frame.entriesOffset, 'its base lies before that of the write before it')
    }
    const indexMax = this.#takeEntries(segment, bytes, frame, frame.kind === 'reset' ? frame.base : before)
    if (typeof indexMax === 'object') return indexMax
    this.#newest = frame
    return this.#compact(frame.base) ? indexMax : corrupt(segment, frame.entriesOffset, 'its base is no entry of the log')
  }

  #takeEntries(segment: number, bytes: Uint8Array, frame: Frame, base: LogBase | undefined): number | LogProblem {
    let at = frame.entriesOffset
    let indexMax = 0
    for (let count = 0; count < frame.entryCount; count += 1) {
      const entry = readEntry(bytes.subarray(0, frame.end), at, { owned: true })
      if (typeof entry === 'string') return corrupt(segment, at, `an entry cannot be read: ${entry}`)
      const index = this.#indexUpTo(entry.index)
      if (index === undefined || entry.index <= (base?.index ?? 0)) return corrupt(segment, at, 'an entry is out of order')
      index.push(entry.term, entry.bytes.length)
      index.locate(entry.index, segment, at)
      indexMax = Math.max(indexMax, entry.index)
      at += entry.bytes.length
    }
    return at === frame.end ? indexMax : corrupt(segment, at, 'a frame is longer than its entries')
  }

  /** The index with `next` as the next entry; undefined when that would leave a gap. */
  #indexUpTo(next: number): EntryIndex | undefined {
    // The term before it stood in a segment that is given up; a later frame's base brings it, or the log is not whole.
    const beginsHere = this.#index === undefined || (!this.#beginsAtReset && next <= this.#index.base.index)
    if (beginsHere) this.#index = new EntryIndex({ index: next - 1, term: 0 })
    const index = this.#index
    if (index === undefined || next > index.last + 1 || next <= index.base.index) return undefined
    index.truncate(next)
    return index
  }

  /** False when the log holds another entry at the new base, or ends before it. */
  #compact(base: LogBase): boolean {
    const index = this.#index
    // Entries between the base and where the index begins stood in segments that are given up.
    if (index === undefined || base.index < index.base.index) return true
    if (base.index > index.last) return false
    if (base.index > index.base.index && index.termAt(base.index) !== base.term) return false
    index.compact(base)
    return true
  }

  #cutTail(): void {
    if (this.#torn === undefined) return
    const { segment, keptBytes } = this.#torn
    if (keptBytes === 0) {
      removeAll(this.#disk, [segment])
      return
    }
    const file = this.#disk.open(segmentName(segment))
    file.truncate(keptBytes)
    file.close()
  }
}

function isAtOrAfter(base: LogBase, before: LogBase): boolean {
  return base.index > before.index || (base.index === before.index && base.term === before.term)
}

function removeAll(disk: LogDisk, segments: readonly number[]): void {
  if (segments.length === 0) return
  for (const segment of segments) disk.remove(segmentName(segment))
  disk.syncDirectory()
}

function corrupt(segment: number, offset: number, what: string): LogProblem {
  return {
    code: 'log_corrupt',
    message: `segment ${segmentName(segment)}, offset ${offset}: ${what}; this part had been synced, so acknowledged entries may be gone and the log is left as it is`,
  }
}
