// The log store on disk: recent entries in memory, all of them in segments, one thread that writes. See segment-format.ts for the bytes, log-recovery.ts for what is
// believed after a crash.
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Entry } from '../raft/entry.ts'
import type { HardState, LogReader, Persist } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import { DirectoryDisk } from './directory-disk.ts'
import type { OnFatal } from './fatal.ts'
import { recoverLog, type LogProblem, type RecoveredLog } from './log-recovery.ts'
import { LogWriter } from './log-writer.ts'
import { RecentEntries } from './recent-entries.ts'
import { segmentName, type LogId } from './segment-format.ts'
import { SegmentLogReader } from './segment-log-reader.ts'
import { SegmentWriter, segmentBytesMax, type LogEnd } from './segment-writer.ts'

/** Entries kept in memory: what followers that lag a little, and the state machine, ask for. */
const recentBytesMax = 32 * 1024 * 1024

export interface SegmentLogOptions {
  /** Exists, and holds a log made by createLog with the same id. */
  readonly directory: string
  readonly logId: LogId
  readonly onFatal: OnFatal
  /** Smaller in tests. */
  readonly limits?: { readonly segmentBytesMax: number; readonly recentBytesMax: number }
}

/** Reads the whole log; cuts a torn tail, refuses damage in the synced part. */
export function openSegmentLog(options: SegmentLogOptions): Result<SegmentLog, LogProblem> {
  const disk = new DirectoryDisk(options.directory)
  const recovered = recoverLog(disk, options.logId)
  if (!recovered.ok) return fail(recovered.problem)
  const limits = options.limits ?? { segmentBytesMax, recentBytesMax }
  // One more frame: from now on damage to what was recovered can be told from a torn write.
  const writer = new SegmentWriter(disk, { logId: options.logId, end: recovered.value.end, segmentBytesMax: limits.segmentBytesMax })
  writer.write({ kind: 'opened', hardState: recovered.value.end.hardState, entryCount: 0, entries: [] })
  writer.close()
  return ok(new SegmentLog({ ...options, limits, recovered: recovered.value, end: writer.end }))
}

interface InFlight {
  readonly sequence: number
  readonly entries: readonly Entry[]
}

export class SegmentLog implements LogStore {
  readonly reader: LogReader
  /** Bytes of an unfinished write that were cut when the log was opened. */
  readonly tornBytes: number
  readonly #directory: string
  readonly #onFatal: OnFatal
  readonly #index: RecoveredLog['index']
  readonly #recent: RecentEntries
  readonly #segmentReader: SegmentLogReader
  readonly #writer: LogWriter
  readonly #inFlight: InFlight[] = []
  #hardState: HardState
  #segment: number
  // Sequence 0 is the entry that forms a cluster, written before the core counts from 1.
  #sequence = -1
  #listener: (sequence: number) => void = () => {}
  #state: 'open' | 'failed' | 'closed' = 'open'

  constructor(options: Required<SegmentLogOptions> & { readonly recovered: RecoveredLog; readonly end: LogEnd }) {
    const { directory, logId, recovered, end, limits } = options
    this.#directory = directory
    this.#onFatal = options.onFatal
    this.#index = recovered.index
    this.#hardState = end.hardState
    this.#segment = end.segment
    this.tornBytes = recovered.tornBytes
    this.#recent = new RecentEntries(recovered.index.last + 1, limits.recentBytesMax)
    this.#segmentReader = new SegmentLogReader(directory, this.#index, this.#recent, options.onFatal)
    this.reader = this.#segmentReader
    this.#writer = new LogWriter(
      { directory, logId, end, segmentBytesMax: limits.segmentBytesMax },
      { durable: (reply) => this.#durable(reply), failed: (message, cause) => this.#failed(message, cause) },
    )
  }

  get hardState(): HardState {
    return this.#hardState
  }

  onDurable(listener: (sequence: number) => void): void {
    this.#listener = listener
  }

  append(persist: Persist): void {
    assert(this.#state !== 'closed', 'append after close')
    if (this.#state === 'failed') return
    assert(persist.sequence > this.#sequence, 'appends come in order')
    const first = persist.entries[0]
    if (first !== undefined) this.#remember(persist.entries, first.index)
    this.#sequence = persist.sequence
    this.#hardState = persist.hardState ?? this.#hardState
    this.#inFlight.push({ sequence: persist.sequence, entries: persist.entries })
    const entries = joined(persist.entries)
    this.#writer.write({
      kind: 'write',
      sequence: persist.sequence,
      hardState: this.#hardState,
      entryCount: persist.entries.length,
      entries,
    })
  }

  compact(): void {
    throw new Error('not compacted yet')
  }

  /** Bytes of all segments. */
  bytes(): number {
    let sum = 0
    for (let segment = 1; segment <= this.#segment; segment += 1) {
      sum += statSync(join(this.#directory, segmentName(segment)), { throwIfNoEntry: false })?.size ?? 0
    }
    return sum
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    await this.#writer.close()
    this.#segmentReader.close()
  }

  #remember(entries: readonly Entry[], first: number): void {
    assert(first <= this.#index.last + 1 && first > this.#index.base.index, 'entries follow the log or replace its end')
    for (const [position, entry] of entries.entries()) assert(entry.index === first + position, 'entries of one append are contiguous')
    this.#index.truncate(first)
    this.#recent.truncate(first)
    for (const entry of entries) {
      this.#index.push(entry.term, entry.bytes.length)
      this.#recent.push(entry)
    }
  }

  #durable(reply: { readonly sequence: number; readonly segment: number; readonly entriesOffset: number }): void {
    let offset = reply.entriesOffset
    this.#segment = reply.segment
    while (this.#inFlight[0] !== undefined && this.#inFlight[0].sequence <= reply.sequence) {
      const written = this.#inFlight.shift()
      for (const entry of written?.entries ?? []) {
        // It may have been replaced while it was being written: then its place is of no use.
        if (this.#recent.at(entry.index) === entry) this.#index.locate(entry.index, reply.segment, offset)
        offset += entry.bytes.length
      }
    }
    this.#recent.evict((index) => this.#index.placeAt(index) !== undefined)
    this.#listener(reply.sequence)
  }

  #failed(message: string, cause: unknown): void {
    if (this.#state === 'failed') return
    this.#state = 'failed'
    this.#onFatal({ code: 'log_write_failed', message, cause })
  }
}

/** In a buffer of their own: entries are views into the buffers of sockets and requests, which must not travel to the thread. */
function joined(entries: readonly Entry[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + entry.bytes.length, 0))
  let at = 0
  for (const entry of entries) {
    bytes.set(entry.bytes, at)
    at += entry.bytes.length
  }
  return bytes
}
