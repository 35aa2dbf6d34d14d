// Writes frames to the end of the log, one fdatasync each, and begins a new segment when one is full. Synchronous and without a thread of its own, so that tests and
// the simulator can drive it over any disk; log-writer-thread.ts runs it beside the main thread.
import type { HardState } from '../raft/raft-port.ts'
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

/**
 * A full segment is closed and a new one begun. Large, because each new file costs two more syncs; small enough that compaction gives space back in steps. One frame
 * may go beyond it: frames are never split.
 */
export const segmentBytesMax = 64 * 1024 * 1024

/** Where the log ends. Plain data: it is handed to the writer's thread. */
export interface LogEnd {
  readonly segment: number
  /** Length of the segment. */
  readonly offset: number
  /** Number of the last frame, 0 for none. */
  readonly frame: number
  readonly hardState: HardState
}

export interface WrittenFrame {
  readonly segment: number
  /** Of the first entry's record. */
  readonly entriesOffset: number
}

export class SegmentWriter {
  readonly #disk: LogDisk
  readonly #logId: LogId
  readonly #bytesMax: number
  #end: LogEnd
  #file: LogFile

  constructor(disk: LogDisk, options: { readonly logId: LogId; readonly end: LogEnd; readonly segmentBytesMax: number }) {
    this.#disk = disk
    this.#logId = options.logId
    this.#end = options.end
    this.#bytesMax = options.segmentBytesMax
    this.#file = disk.open(segmentName(options.end.segment))
  }

  get end(): LogEnd {
    return this.#end
  }

  /** Durable when it returns. Throws what the disk throws, and must then not be used again: what is on the disk is unknown. */
  write(frame: {
    readonly kind: FrameKind
    readonly hardState: HardState
    readonly entryCount: number
    readonly entries: readonly Uint8Array[]
  }): WrittenFrame {
    const entryBytes = frame.entries.reduce((sum, bytes) => sum + bytes.length, 0)
    const length = frameLength(frame.hardState, entryBytes)
    if (this.#end.offset > segmentHeaderBytes && this.#end.offset + length > this.#bytesMax) this.#beginSegment()
    const { segment, offset } = this.#end
    const number = this.#end.frame + 1
    this.#file.write(encodeFrame(this.#logId, { ...frame, segment, number, offset }), offset)
    this.#file.sync()
    this.#end = { segment, offset: offset + length, frame: number, hardState: frame.hardState }
    return { segment, entriesOffset: offset + length - entryBytes }
  }

  close(): void {
    this.#file.close()
  }

  #beginSegment(): void {
    this.#file.close()
    const segment = this.#end.segment + 1
    this.#file = createSegment(this.#disk, this.#logId, { segment, firstFrame: this.#end.frame + 1 })
    this.#end = { ...this.#end, segment, offset: segmentHeaderBytes }
  }
}

/** The header and the name are durable before the first frame is written: a damaged header of a segment that holds a frame is never a torn one. */
export function createSegment(disk: LogDisk, logId: LogId, start: { readonly segment: number; readonly firstFrame: number }): LogFile {
  const file = disk.create(segmentName(start.segment))
  file.write(encodeSegmentHeader(logId, { ...start, base: { index: 0, term: 0 } }), 0)
  file.sync()
  disk.syncDirectory()
  return file
}
