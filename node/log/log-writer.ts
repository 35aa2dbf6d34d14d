// Port: whoever writes the log beside the main thread. Owned by the log store; a thread in production (log-writer-worker.ts), a scheduler's turns in the simulator
// (inline-log-writer.ts). Both gather what waits into frames by the same rules (frame-gathering.ts).
import type { HardState, LogBase } from '../raft/raft-port.ts'
import type { EntryPlace } from './entry-index.ts'
import type { LogId } from './segment-format.ts'
import type { LogEnd } from './segment-writer.ts'

export interface WriterOptions {
  readonly logId: LogId
  readonly end: LogEnd
  readonly segmentBytesMax: number
  readonly prepareBytes: number
}

export interface WriteRequest {
  readonly kind: 'write'
  readonly sequence: number
  readonly hardState: HardState
  readonly entryCount: number
  /** Highest index among the entries, 0 for none. */
  readonly indexMax: number
  /** The entries' records one after the other, in a buffer of their own, which is given away. */
  readonly entries: Uint8Array
  /** The log begins anew after this place, and with these entries. */
  readonly reset: LogBase | undefined
}

export interface CompactRequest {
  readonly kind: 'compact'
  readonly base: LogBase
  /** Where the entry at the base stands; undefined: not known yet. */
  readonly givenUp: EntryPlace | undefined
}

export type WriterRequest = WriteRequest | CompactRequest

export interface DurableReply {
  /** Everything up to it is durable. */
  readonly sequence: number
  readonly segment: number
  /** The frame's entries begin there. */
  readonly entriesOffset: number
  /** Of the whole log on disk. */
  readonly logBytes: number
}

export interface TidiedReply {
  /** Older ones are gone. */
  readonly firstSegment: number
  readonly logBytes: number
}

export interface WriterFailure {
  /** `disk_full`: it had no room for a write; what was durable before is as good as ever. `disk_failed`: anything else; what is on the disk is unknown. */
  readonly kind: 'disk_full' | 'disk_failed'
  readonly message: string
  readonly cause: unknown
}

export interface WriterEvents {
  readonly durable: (reply: DurableReply) => void
  readonly tidied: (reply: TidiedReply) => void
  /** Nothing is written any more. */
  readonly failed: (failure: WriterFailure) => void
}

export interface LogWriter {
  /** In order, and never answered before it returns. */
  request(request: WriterRequest): void
  /** After everything that was asked before is durable. */
  close(): Promise<void>
}

export type StartLogWriter = (options: WriterOptions, on: WriterEvents) => LogWriter
