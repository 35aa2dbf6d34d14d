// The log store's twin in memory: what is written becomes durable a turn later, on a "disk" that outlives the store.
import assert from 'node:assert/strict'
import type { Entry } from '../raft/entry.ts'
import type { HardState, LogReader, Persist } from '../raft/raft-port.ts'
import type { Clock } from './clock.ts'
import type { LogStore } from './log-store.ts'

/** What survives. */
export class MemoryDisk {
  hardState: HardState = { term: 0, votedFor: undefined }
  readonly entries: Entry[] = []
}

export class MemoryLogStore implements LogStore {
  readonly reader: LogReader
  readonly #disk: MemoryDisk
  readonly #clock: Clock
  readonly #written: Entry[]
  #hardState: HardState
  #pending: Persist[] = []
  #listener: (sequence: number) => void = () => {}
  #isClosed = false

  constructor(disk: MemoryDisk, clock: Clock) {
    this.#disk = disk
    this.#clock = clock
    this.#hardState = disk.hardState
    this.#written = [...disk.entries]
    this.reader = memoryReader(this.#written)
  }

  get hardState(): HardState {
    return this.#hardState
  }

  append(persist: Persist): void {
    assert(!this.#isClosed, 'an append after close')
    assert(persist.sequence > (this.#pending.at(-1)?.sequence ?? 0), 'appends come in order of sequence')
    if (persist.hardState !== undefined) this.#hardState = persist.hardState
    replace(this.#written, persist.entries)
    this.#pending.push(persist)
    if (this.#pending.length === 1) this.#clock.soon(() => this.#sync())
  }

  onDurable(listener: (sequence: number) => void): void {
    this.#listener = listener
  }

  compact(): void {
    throw new Error('not compacted yet')
  }

  bytes(): number {
    return this.#disk.entries.reduce((sum, entry) => sum + entry.bytes.length, 0)
  }

  close(): Promise<void> {
    this.#sync()
    this.#isClosed = true
    return Promise.resolve()
  }

  /** The power goes: what is not on the disk is lost, and nobody hears of it. */
  crash(): void {
    this.#pending = []
    this.#isClosed = true
  }

  #sync(): void {
    const last = this.#pending.at(-1)
    if (this.#isClosed || last === undefined) return
    for (const persist of this.#pending) {
      if (persist.hardState !== undefined) this.#disk.hardState = persist.hardState
      replace(this.#disk.entries, persist.entries)
    }
    this.#pending = []
    this.#listener(last.sequence)
  }
}

function replace(log: Entry[], entries: readonly Entry[]): void {
  const first = entries[0]
  if (first === undefined) return
  assert(first.index >= 1 && first.index <= log.length + 1, 'an append may leave no gap')
  log.length = first.index - 1
  for (const entry of entries) log.push(entry)
}

function memoryReader(entries: readonly Entry[]): LogReader {
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
