// Reads the whole log back. The one judgement that matters is between a torn tail and corruption. A frame is written only after the one before it was synced, so
// damage with a valid frame (or a later segment) behind it is in the synced part: never cut, the node must not open. Damage with nothing valid behind it is what a
// power failure leaves of the write that was under way: nobody was promised it, it is cut.
// (Damage done later to the very last frame looks the same and is cut too, unless the log was closed in order or opened again since: that writes one more frame.)
import { fail, ok, type Result } from '../../runtime/result.ts'
import { readEntry } from '../raft/entry.ts'
import type { HardState } from '../raft/raft-port.ts'
import { EntryIndex } from './entry-index.ts'
import type { LogDisk } from './log-disk.ts'
import {
  decodeFrame,
  decodeSegmentHeader,
  hasFrameBehind,
  segmentHeaderBytes,
  segmentName,
  segmentOfName,
  type Frame,
  type LogId,
} from './segment-format.ts'
import { createSegment, type LogEnd } from './segment-writer.ts'

export interface LogProblem {
  /** `log_missing`: no segments where there must be some. `log_corrupt`: damage in what had been synced. `log_of_another_node`: made with another data directory. */
  readonly code: 'log_missing' | 'log_corrupt' | 'log_of_another_node'
  readonly message: string
}

export interface RecoveredLog {
  readonly index: EntryIndex
  readonly end: LogEnd
  /** Bytes of an unfinished write that were cut. */
  readonly tornBytes: number
}

/** Begins a log, or begins it again when a crash has left half of its first segment. */
export function createLog(disk: LogDisk, logId: LogId): void {
  for (const name of disk.names()) if (segmentOfName(name) !== undefined) disk.remove(name)
  createSegment(disk, logId, { segment: 1, firstFrame: 1 }).close()
}

export function recoverLog(disk: LogDisk, logId: LogId): Result<RecoveredLog, LogProblem> {
  const segments = disk
    .names()
    .map(segmentOfName)
    .filter((segment) => segment !== undefined)
    .toSorted((a, b) => a - b)
  if (segments.length === 0) return fail({ code: 'log_missing', message: 'the log is gone: no segment is left of it' })
  const recovery = new Recovery(disk, logId)
  for (const [position, segment] of segments.entries()) {
    const problem = recovery.take(segment, position === segments.length - 1)
    if (problem !== undefined) return fail(problem)
  }
  return ok(recovery.result())
}

class Recovery {
  readonly #disk: LogDisk
  readonly #logId: LogId
  readonly #index = new EntryIndex({ index: 0, term: 0 })
  #segment = 0
  #offset = 0
  #frame = 0
  #hardState: HardState = { term: 0, votedFor: undefined }
  #tornBytes = 0

  constructor(disk: LogDisk, logId: LogId) {
    this.#disk = disk
    this.#logId = logId
  }

  take(segment: number, isLast: boolean): LogProblem | undefined {
    if (segment !== this.#segment + 1) return corrupt(this.#segment + 1, 0, 'the segment is missing')
    const bytes = this.#disk.read(segmentName(segment))
    const header = decodeSegmentHeader(bytes, this.#logId)
    if (header === 'another_log') {
      return { code: 'log_of_another_node', message: `segment ${segmentName(segment)} belongs to another data directory` }
    }
    if (header === 'header_damaged') {
      // The first segment is whole before the identity file says that there is a log.
      const isTorn = isLast && segment > 1 && !hasFrameBehind(this.#logId, segment, bytes, 0)
      return isTorn ? this.#removeTornSegment(segment, bytes.length) : corrupt(segment, 0, 'its header is damaged')
    }
    if (header.segment !== segment || header.firstFrame !== this.#frame + 1)
      return corrupt(segment, 0, 'it does not follow the one before it')
    this.#segment = segment
    return this.#takeFrames(bytes, isLast)
  }

  result(): RecoveredLog {
    const { segment, offset, frame, hardState } = {
      segment: this.#segment,
      offset: this.#offset,
      frame: this.#frame,
      hardState: this.#hardState,
    }
    return { index: this.#index, end: { segment, offset, frame, hardState }, tornBytes: this.#tornBytes }
  }

  #takeFrames(bytes: Uint8Array, isLast: boolean): LogProblem | undefined {
    this.#offset = segmentHeaderBytes
    while (this.#offset < bytes.length) {
      const frame = decodeFrame(this.#logId, this.#segment, bytes, this.#offset)
      if (frame === undefined) {
        if (!isLast || hasFrameBehind(this.#logId, this.#segment, bytes, this.#offset))
          return corrupt(this.#segment, this.#offset, 'a checksum is wrong')
        this.#cutTail(bytes.length)
        return undefined
      }
      if (frame.number !== this.#frame + 1) return corrupt(this.#segment, this.#offset, 'a write is missing before it')
      const problem = this.#takeEntries(bytes, frame)
      if (problem !== undefined) return problem
      this.#frame = frame.number
      this.#hardState = frame.hardState
      this.#offset = frame.end
    }
    return undefined
  }

  #takeEntries(bytes: Uint8Array, frame: Frame): LogProblem | undefined {
    let at = frame.entriesOffset
    for (let count = 0; count < frame.entryCount; count += 1) {
      const entry = readEntry(bytes.subarray(0, frame.end), at, { owned: true })
      if (typeof entry === 'string') return corrupt(this.#segment, at, `an entry cannot be read: ${entry}`)
      if (entry.index > this.#index.last + 1 || entry.index <= this.#index.base.index)
        return corrupt(this.#segment, at, 'an entry is out of order')
      this.#index.truncate(entry.index)
      this.#index.push(entry.term, entry.bytes.length)
      this.#index.locate(entry.index, this.#segment, at)
      at += entry.bytes.length
    }
    return at === frame.end ? undefined : corrupt(this.#segment, at, 'a frame is longer than its entries')
  }

  #cutTail(length: number): void {
    this.#tornBytes = length - this.#offset
    const file = this.#disk.open(segmentName(this.#segment))
    file.truncate(this.#offset)
    file.close()
  }

  #removeTornSegment(segment: number, length: number): undefined {
    this.#tornBytes = length
    this.#disk.remove(segmentName(segment))
    this.#disk.syncDirectory()
  }
}

function corrupt(segment: number, offset: number, what: string): LogProblem {
  return {
    code: 'log_corrupt',
    message: `segment ${segmentName(segment)}, offset ${offset}: ${what}; this part had been synced, so acknowledged entries may be gone and the log is left as it is`,
  }
}
