// The log store on disk: recent entries in memory, all of them in segments, one thread that writes. See segment-format.ts for the bytes, log-recovery.ts for what is
// believed after a crash.
import assert from 'node:assert/strict'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Entry } from '../raft/entry.ts'
import type { HardState, LogBase, LogReader, Persist } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import { DirectoryDisk } from './directory-disk.ts'
import { giveReserveFree, keepReserve } from './disk-reserve.ts'
import type { OnFatal } from '../store/fatal.ts'
import type { LogDisk } from './log-disk.ts'
import { recoverLog, type LogProblem, type RecoveredLog } from './log-recovery.ts'
import { startWriterThread } from './log-writer-worker.ts'
import type { DurableReply, LogWriter, StartLogWriter, TidiedReply, WriterFailure } from './log-writer.ts'
import { PowerLost } from './power-lost.ts'
import { RecentEntries } from './recent-entries.ts'
import type { LogId } from './segment-format.ts'
import { SegmentLogReader } from './segment-log-reader.ts'
import { SegmentWriter, bytesOf, prepareBytes, segmentBytesMax, type LogEnd } from './segment-writer.ts'
import { failureOf, isDiskFull } from './write-failure.ts'

/** Entries kept in memory: what followers that lag a little, and the state machine, ask for. */
const recentBytesMax = 32 * 1024 * 1024
/** Seconds of small writes, and some ten megabytes. */
const recentEntriesMax = 16_384

/** Enough to start a few times and to follow for a while. Only half of what must be free when it is laid down. */
const reserveBytes = 1024 * 1024

export interface LogLimits {
  readonly segmentBytesMax: number
  readonly recentBytesMax: number
  readonly recentEntriesMax: number
  /** Zeros that are written ahead. */
  readonly prepareBytes: number
  /** Kept for a disk that is full; 0: nothing. */
  readonly reserveBytes: number
}

export interface SegmentLogOptions {
  readonly logId: LogId
  /** Called on the thread that owns the log, before anything else happens to it. */
  readonly onFatal: OnFatal
  /** Smaller in tests. */
  readonly limits?: Partial<LogLimits>
}

/** Reads the whole log, written by a thread; cuts a torn tail, refuses damage in the synced part. `directory` holds a log made by createLog with the same id. */
export function openSegmentLog(options: SegmentLogOptions & { readonly directory: string }): Result<SegmentLog, LogProblem> {
  return openSegmentLogOn(new DirectoryDisk(options.directory), startWriterThread(options.directory), {
    ...options,
    limits: { reserveBytes, ...options.limits },
  })
}

/** The same over any disk and writer; without a reserve unless one is asked for. Throws what the disk throws, but for a full disk. */
export function openSegmentLogOn(disk: LogDisk, startWriter: StartLogWriter, options: SegmentLogOptions): Result<SegmentLog, LogProblem> {
  const limits = { segmentBytesMax, recentBytesMax, recentEntriesMax, prepareBytes, reserveBytes: 0, ...options.limits }
  const begin = (): Result<SegmentLog, LogProblem> => {
    const recovered = recoverLog(disk, options.logId)
    if (!recovered.ok) return fail(recovered.problem)
    const writer = new SegmentWriter(disk, { ...limits, logId: options.logId, end: recovered.value.end })
    try {
      // A process that was killed may have left its last frame, or the name of a new segment, in the kernel's memory only: what follows may go into another file.
      writer.sync()
      // One more frame: from now on damage to what was recovered can be told from a torn write.
      writer.write({ kind: 'opened', hardState: recovered.value.end.hardState, entryCount: 0, entries: [], indexMax: 0 })
    } catch (error) {
      // What an earlier life had written and not synced went with a sync that failed, and would be read back from memory at the next start as if it were on the disk.
      if (!isDiskFull(error) && !(error instanceof PowerLost))
        options.onFatal({ code: 'log_write_failed', message: failureOf(error).message, cause: error })
      throw error
    }
    writer.close()
    return ok(new SegmentLog(disk, startWriter, { ...options, limits, recovered: recovered.value, end: writer.end }))
  }
  try {
    const opened = begin()
    if (opened.ok) keepReserve(disk, limits.reserveBytes)
    return opened
  } catch (error) {
    if (!isDiskFull(error)) throw error
  }
  // The half-written frame is a torn one: it is cut, and the log is read again, as after any crash.
  try {
    if (giveReserveFree(disk)) return begin()
  } catch (error) {
    if (!isDiskFull(error)) throw error
  }
  return fail({
    code: 'log_disk_full',
    message: 'the disk has no room for a single write of the log, not even with what was kept for this case',
  })
}

interface InFlight {
  readonly sequence: number
  readonly entries: readonly Entry[]
}

export class SegmentLog implements LogStore {
  readonly reader: LogReader
  /** Bytes of an unfinished write that were cut when the log was opened. */
  readonly tornBytes: number
  readonly #onFatal: OnFatal
  readonly #index: RecoveredLog['index']
  readonly #recent: RecentEntries
  readonly #segmentReader: SegmentLogReader
  readonly #writer: LogWriter
  #inFlight: InFlight[] = []
  #hardState: HardState
  #bytes: number
  // Sequence 0 is the entry that forms a cluster, written before the core counts from 1.
  #sequence = -1
  #listener: (sequence: number) => void = () => {}
  #state: 'open' | 'failed' | 'closed' = 'open'

  constructor(
    disk: LogDisk,
    startWriter: StartLogWriter,
    options: SegmentLogOptions & {
      readonly limits: LogLimits
      readonly recovered: RecoveredLog
      readonly end: LogEnd
    },
  ) {
    const { logId, recovered, end, limits } = options
    this.#onFatal = options.onFatal
    this.#index = recovered.index
    this.#hardState = end.hardState
    this.#bytes = bytesOf(end)
    this.tornBytes = recovered.tornBytes
    this.#recent = new RecentEntries(recovered.index.last + 1, limits)
    this.#segmentReader = new SegmentLogReader(disk, this.#index, this.#recent, options.onFatal)
    this.reader = this.#segmentReader
    this.#writer = startWriter(
      { ...limits, logId, end },
      {
        durable: (reply) => this.#durable(reply),
        tidied: (reply) => this.#tidied(reply),
        failed: (failure) => this.#failed(failure),
      },
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
    if (persist.reset !== undefined) this.#forgetAll(persist.reset)
    const first = persist.entries[0]
    if (first !== undefined) this.#remember(persist.entries, first.index)
    this.#sequence = persist.sequence
    this.#hardState = persist.hardState ?? this.#hardState
    this.#inFlight.push({ sequence: persist.sequence, entries: persist.entries })
    this.#writer.request({
      kind: 'write',
      sequence: persist.sequence,
      hardState: this.#hardState,
      entryCount: persist.entries.length,
      indexMax: persist.entries.at(-1)?.index ?? 0,
      entries: joined(persist.entries),
      reset: persist.reset,
    })
  }

  compact(to: LogBase): void {
    assert(this.#state !== 'closed', 'compact after close')
    if (this.#state === 'failed' || to.index <= this.#index.base.index) return
    assert(to.index <= this.#index.last && this.#index.termAt(to.index) === to.term, 'what is given up is in the log')
    const givenUp = this.#index.placeAt(to.index)
    this.#index.compact(to)
    this.#recent.forgetTo(to.index)
    this.#writer.request({ kind: 'compact', base: to, givenUp })
  }

  /** Of all segments. */
  bytes(): number {
    return this.#bytes
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

  #forgetAll(base: LogBase): void {
    this.#index.reset(base)
    this.#recent.clear()
    // The places of writes under way go with the log: an entry that comes back is found where it is written again.
    this.#inFlight = this.#inFlight.map(({ sequence }) => ({ sequence, entries: [] }))
  }

  #durable(reply: DurableReply): void {
    let offset = reply.entriesOffset
    this.#bytes = reply.logBytes
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

  #tidied(reply: TidiedReply): void {
    this.#bytes = reply.logBytes
    this.#segmentReader.forgetSegmentsBefore(reply.firstSegment)
  }

  #failed({ kind, message, cause }: WriterFailure): void {
    if (this.#state === 'failed') return
    this.#state = 'failed'
    this.#onFatal({ code: kind === 'disk_full' ? 'log_disk_full' : 'log_write_failed', message, cause })
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
