// Writes frames to the end of the log, one fdatasync each, and begins a new segment when one is full. Synchronous and without a thread of its own, so that tests and
// the simulator can drive it over any disk; log-writer-thread.ts runs it beside the main thread.
import assert from 'node:assert/strict'
import type { HardState, LogBase } from '../raft/raft-port.ts'
import type { LogDisk, LogFile } from './log-disk.ts'
import {
  encodeFrame,
  encodeSegmentHeader,
  frameLength,
  segmentHeaderBytes,
  segmentName,
  type FrameKind,
  type LogId,
} from './segment-format.ts'
import { isDiskFull } from './write-failure.ts'

/**
 * A full segment is closed and a new one begun. Large, because each new file costs two more syncs; small enough that compaction gives space back in steps. One frame
 * may go beyond it: frames are never split.
 */
export const segmentBytesMax = 64 * 1024 * 1024

/**
 * Zeros are written ahead of the frames in steps of this size, so that most syncs only overwrite what the file has already (ADR 9). Small, because the frame whose sync
 * carries them waits for them too: a millisecond or two.
 */
export const prepareBytes = 1024 * 1024

/** What must be known of a segment to tell whether it is still needed. */
export interface SegmentExtent {
  readonly segment: number
  /** The highest index of any entry in it, also of one that was replaced since; 0 when it holds none. Below or at the log's base, nothing in it is needed. */
  readonly indexMax: number
  readonly bytes: number
}

/** Where the log ends. Plain data: it is handed to the writer's thread. */
export interface LogEnd {
  /** Number of the last frame, 0 for none. */
  readonly frame: number
  readonly hardState: HardState
  readonly base: LogBase
  /** All that are needed, in order, never empty; the last one is written to. */
  readonly segments: readonly SegmentExtent[]
}

export interface FrameToWrite {
  readonly kind: FrameKind
  readonly hardState: HardState
  readonly entryCount: number
  readonly entries: readonly Uint8Array[]
  /** The highest index among the entries; 0 for none. */
  readonly indexMax: number
  /** A new base, for `compacted`, `reset`, and whatever frame a compaction rides on. Absent: as before. */
  readonly base?: LogBase
  /** Where the last entry that a compaction gives up stands: begins a new segment when most of the present one is given up with it. */
  readonly givenUp?: { readonly segment: number; readonly offset: number }
}

export interface WrittenFrame {
  readonly segment: number
  /** Of the first entry's record. */
  readonly entriesOffset: number
}

/**
 * One frame is three steps, so that a simulator can let time pass, or the power go, between them: `start` writes, `finish` syncs (then the frame is durable), `tidy`
 * removes segments that it made superfluous. Whatever throws, throws what the disk threw; the writer must then not be used again: what is on the disk is unknown.
 */
export class SegmentWriter {
  readonly #disk: LogDisk
  readonly #logId: LogId
  readonly #bytesMax: number
  readonly #prepareBytes: number
  #end: LogEnd
  #file: LogFile
  /** Length of the file: behind the last frame it is zeros. */
  #preparedTo: number
  #started: { readonly end: LogEnd; readonly written: WrittenFrame } | undefined
  #superfluous: readonly SegmentExtent[] = []
  // Set before the disk is asked and taken back when it has answered: whoever goes on after an error would write over a frame that may stand there.
  #isInDoubt = false

  constructor(
    disk: LogDisk,
    options: { readonly logId: LogId; readonly end: LogEnd; readonly segmentBytesMax: number; readonly prepareBytes: number },
  ) {
    this.#disk = disk
    this.#logId = options.logId
    this.#end = options.end
    this.#bytesMax = options.segmentBytesMax
    this.#prepareBytes = options.prepareBytes
    this.#file = disk.open(segmentName(lastOf(options.end).segment))
    this.#preparedTo = this.#file.size()
  }

  get end(): LogEnd {
    return this.#end
  }

  /** Makes durable what the last segment holds, and the names of all. Before the first frame, where the log was found and not made. */
  sync(): void {
    this.#file.sync()
    this.#disk.syncDirectory()
  }

  /** All three steps. */
  write(frame: FrameToWrite): WrittenFrame {
    this.start(frame)
    const written = this.finish()
    this.tidy()
    return written
  }

  start(frame: FrameToWrite): void {
    assert(!this.#isInDoubt, 'a disk that has refused is not written to again')
    this.#isInDoubt = true
    this.#start(frame)
  }

  finish(): WrittenFrame {
    const written = this.#finish()
    this.#isInDoubt = false
    return written
  }

  #start(frame: FrameToWrite): void {
    const entryBytes = frame.entries.reduce((sum, bytes) => sum + bytes.length, 0)
    const length = frameLength(frame.hardState, entryBytes)
    if (this.#mustBeginSegment(frame, length)) this.#beginSegment()
    const { segment, bytes: offset, indexMax } = lastOf(this.#end)
    const base = frame.base ?? this.#end.base
    const last = { segment, bytes: offset + length, indexMax: Math.max(indexMax, frame.indexMax) }
    const segments = needed([...this.#end.segments.slice(0, -1), last], frame.kind === 'reset' ? Infinity : base.index)
    const number = this.#end.frame + 1
    const firstSegment = segments[0]?.segment ?? segment
    this.#file.write(encodeFrame(this.#logId, { ...frame, segment, number, offset, base, firstSegment }), offset)
    if (offset + length > this.#preparedTo) this.#prepareFrom(offset + length)
    this.#started = {
      end: { frame: number, hardState: frame.hardState, base, segments },
      written: { segment, entriesOffset: offset + length - entryBytes },
    }
  }

  #finish(): WrittenFrame {
    assert(this.#started !== undefined, 'a frame was started')
    const { end, written } = this.#started
    this.#file.sync()
    const first = end.segments[0]?.segment ?? 0
    this.#superfluous = [...this.#superfluous, ...this.#end.segments.filter(({ segment }) => segment < first)]
    this.#end = end
    this.#started = undefined
    return written
  }

  /** Nothing is to be removed. */
  get isTidy(): boolean {
    return this.#superfluous.length === 0
  }

  /** The frame that says they are not needed is durable, so whatever part of this a crash leaves undone is done when the log is opened. */
  tidy(): void {
    if (this.isTidy) return
    for (const { segment } of this.#superfluous) this.#disk.remove(segmentName(segment))
    this.#disk.syncDirectory()
    this.#superfluous = []
  }

  close(): void {
    this.#file.close()
  }

  #mustBeginSegment(frame: FrameToWrite, length: number): boolean {
    const { segment, bytes } = lastOf(this.#end)
    if (bytes === segmentHeaderBytes) return false
    // What the log forgets goes with its segments, as a whole.
    if (frame.kind === 'reset') return true
    if (bytes + length > this.#bytesMax) return true
    // Otherwise the given-up part would stay until the segment is full and everything in it is given up: the log would take up to a segment more than it holds.
    const { givenUp } = frame
    return givenUp?.segment === segment && givenUp.offset > this.#bytesMax / 8 && givenUp.offset > bytes / 2
  }

  /** Synced with the frame before them. Not one of the log's bytes: a frame that never came. */
  #prepareFrom(offset: number): void {
    this.#preparedTo = Math.max(offset, Math.min(offset + this.#prepareBytes, this.#bytesMax))
    try {
      if (this.#preparedTo > offset) this.#file.write(new Uint8Array(this.#preparedTo - offset), offset)
    } catch (error) {
      // The frame itself has found room.
      if (!isDiskFull(error)) throw error
      this.#preparedTo = offset
    }
  }

  #beginSegment(): void {
    this.#file.close()
    const segment = lastOf(this.#end).segment + 1
    this.#file = createSegment(this.#disk, this.#logId, { segment, firstFrame: this.#end.frame + 1 })
    this.#disk.syncDirectory()
    this.#preparedTo = segmentHeaderBytes
    this.#end = { ...this.#end, segments: [...this.#end.segments, { segment, indexMax: 0, bytes: segmentHeaderBytes }] }
  }
}

/**
 * The header is durable before the first frame is written; so must be the name: the caller syncs the directory. Then a damaged header of a segment that holds a frame is
 * never a torn one.
 */
export function createSegment(disk: LogDisk, logId: LogId, start: { readonly segment: number; readonly firstFrame: number }): LogFile {
  const file = disk.create(segmentName(start.segment))
  file.write(encodeSegmentHeader(logId, start), 0)
  file.sync()
  return file
}

/** Without the leading ones in which everything is at or below the base. One behind a needed one stays: recovery reads without holes. The last one always stays. */
function needed(segments: readonly SegmentExtent[], baseIndex: number): readonly SegmentExtent[] {
  const first = segments.findIndex(({ indexMax }) => indexMax > baseIndex)
  return segments.slice(first === -1 ? -1 : first)
}

export function lastOf(end: LogEnd): SegmentExtent {
  const last = end.segments.at(-1)
  assert(last !== undefined, 'a log has a segment')
  return last
}

/** Of all segments together. */
export function bytesOf(end: LogEnd): number {
  return end.segments.reduce((sum, { bytes }) => sum + bytes, 0)
}
