// The log store on a virtual disk: the production's bytes, recovery and writer; only the thread and its messages are played by the event queue.
import assert from 'node:assert/strict'
import type { Entry } from '../raft/entry.ts'
import type { HardState, LogReader, Persist } from '../raft/raft-port.ts'
import { readEntry } from '../raft/entry.ts'
import type { LogStore } from '../replica/log-store.ts'
import type { RecoveredLog } from '../store/log-recovery.ts'
import { segmentName, type LogId } from '../store/segment-format.ts'
import { SegmentWriter } from '../store/segment-writer.ts'
import type { SectorDisk } from './sector-disk.ts'

export interface VirtualLogPorts {
  readonly later: (what: 'write' | 'message', run: () => void) => void
  readonly onFatal: (message: string) => void
}

/** Small, so that a run passes from one segment to the next many times. */
export const segmentBytesMax = 16 * 1024

export class VirtualLog implements LogStore {
  readonly reader: LogReader
  readonly #ports: VirtualLogPorts
  readonly #writer: SegmentWriter
  readonly #entries: Entry[]
  #hardState: HardState
  #waiting: Persist[] = []
  #isWriting = false
  #listener: (sequence: number) => void = () => {}

  constructor(disk: SectorDisk, options: { readonly logId: LogId; readonly recovered: RecoveredLog; readonly ports: VirtualLogPorts }) {
    const { recovered, logId } = options
    this.#ports = options.ports
    this.#hardState = recovered.end.hardState
    this.#entries = entriesOf(disk, recovered)
    this.#writer = new SegmentWriter(disk, { logId, end: recovered.end, segmentBytesMax })
    this.#writer.write({ kind: 'opened', hardState: this.#hardState, entryCount: 0, entries: [] })
    this.reader = readerOf(this.#entries)
  }

  get hardState(): HardState {
    return this.#hardState
  }

  append(persist: Persist): void {
    const first = persist.entries[0]
    if (first !== undefined) {
      assert(first.index >= 1 && first.index <= this.#entries.length + 1, 'an append may leave no gap')
      this.#entries.length = first.index - 1
      for (const entry of persist.entries) this.#entries.push(entry)
    }
    this.#hardState = persist.hardState ?? this.#hardState
    this.#waiting.push({ ...persist, hardState: this.#hardState })
    this.#write()
  }

  onDurable(listener: (sequence: number) => void): void {
    this.#listener = listener
  }

  compact(): void {
    throw new Error('not compacted yet')
  }

  bytes(): number {
    return 0
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** The process ends while something is being written: `disk` stops in the middle of it. */
  writeWhatWaits(): void {
    const batch = this.#waiting
    const last = batch.at(-1)
    this.#waiting = []
    if (last?.hardState === undefined) return
    const entries = batch.flatMap((persist) => persist.entries.map((entry) => entry.bytes))
    this.#writer.write({ kind: 'persist', hardState: last.hardState, entryCount: entries.length, entries })
  }

  #write(): void {
    if (this.#isWriting || this.#waiting.length === 0) return
    this.#isWriting = true
    this.#ports.later('write', () => {
      const sequence = this.#waiting.at(-1)?.sequence ?? 0
      try {
        this.writeWhatWaits()
      } catch (error) {
        this.#ports.onFatal(error instanceof Error ? error.message : String(error))
        return
      }
      this.#isWriting = false
      this.#ports.later('message', () => this.#listener(sequence))
      this.#write()
    })
  }
}

function entriesOf(disk: SectorDisk, recovered: RecoveredLog): Entry[] {
  const entries: Entry[] = []
  for (let index = 1; index <= recovered.index.last; index += 1) {
    const place = recovered.index.placeAt(index)
    assert(place !== undefined)
    const entry = readEntry(disk.read(segmentName(place.segment)), place.offset, { owned: true })
    assert(typeof entry !== 'string', `entry ${index} cannot be read`)
    entries.push(entry)
  }
  return entries
}

function readerOf(entries: readonly Entry[]): LogReader {
  const at = (index: number): Entry => {
    const entry = entries[index - 1]
    assert(entry !== undefined, `no entry ${index}`)
    return entry
  }
  return {
    base: { index: 0, term: 0 },
    lastIndex: () => entries.length,
    termAt: (index) => (index === 0 ? 0 : at(index).term),
    read: ({ from, to, bytesMax }) => {
      let end = from
      let bytes = at(from).bytes.length
      while (end < to && bytes + at(end + 1).bytes.length <= bytesMax) {
        end += 1
        bytes += at(end).bytes.length
      }
      return entries.slice(from - 1, end)
    },
  }
}
