// The log store's twin in memory: what is written becomes durable a turn later, on a "disk" that outlives the store.
import assert from 'node:assert/strict'
import type { Entry } from '../raft/entry.ts'
import type { HardState, LogBase, LogReader, Persist } from '../raft/raft-port.ts'
import type { Clock } from './clock.ts'
import type { LogStore } from './log-store.ts'

/** What survives: `entries` follow `base`. */
export class MemoryDisk {
  hardState: HardState = { term: 0, votedFor: undefined }
  base: LogBase = { index: 0, term: 0 }
  readonly entries: Entry[] = []
}

type Change = { readonly kind: 'persist'; readonly persist: Persist } | { readonly kind: 'compact'; readonly to: LogBase }

/** A log of which some may be gone at its beginning. */
interface Log {
  base: LogBase
  readonly entries: Entry[]
}

export class MemoryLogStore implements LogStore {
  readonly reader: LogReader
  readonly #disk: MemoryDisk
  readonly #clock: Clock
  readonly #written: Log
  #hardState: HardState
  #sequence = -1
  // In the order in which they reach the disk.
  #pending: Change[] = []
  #listener: (sequence: number) => void = () => {}
  #state: 'open' | 'closed' | 'dead' = 'open'

  constructor(disk: MemoryDisk, clock: Clock) {
    this.#disk = disk
    this.#clock = clock
    this.#hardState = disk.hardState
    this.#written = { base: disk.base, entries: [...disk.entries] }
    this.reader = memoryReader(this.#written)
  }

  get hardState(): HardState {
    return this.#hardState
  }

  append(persist: Persist): void {
    if (this.#state === 'dead') return
    assert(this.#state === 'open', 'an append after close')
    assert(persist.sequence > this.#sequence, 'appends come in order of sequence')
    write(this.#written, persist)
    this.#sequence = persist.sequence
    if (persist.hardState !== undefined) this.#hardState = persist.hardState
    this.#enqueue({ kind: 'persist', persist })
  }

  compact(to: LogBase): void {
    if (this.#state === 'dead') return
    assert(this.#state === 'open', 'a compaction after close')
    if (to.index <= this.#written.base.index) return
    assert(this.reader.termAt(to.index) === to.term, 'the log is given up to an entry that it holds')
    forget(this.#written, to)
    this.#enqueue({ kind: 'compact', to })
  }

  bytes(): number {
    return this.#disk.entries.reduce((sum, entry) => sum + entry.bytes.length, 0)
  }

  onDurable(listener: (sequence: number) => void): void {
    this.#listener = listener
  }

  close(): Promise<void> {
    this.#sync()
    this.#state = 'closed'
    return Promise.resolve()
  }

  /** The power goes: what is not on the disk is lost, and nobody hears of it. What the rest of the process still asks for does not happen. */
  crash(): void {
    this.#pending = []
    this.#state = 'dead'
  }

  #enqueue(change: Change): void {
    this.#pending.push(change)
    if (this.#pending.length === 1) this.#clock.soon(() => this.#sync())
  }

  #sync(): void {
    if (this.#state !== 'open' || this.#pending.length === 0) return
    const changes = this.#pending
    this.#pending = []
    let told: number | undefined
    for (const change of changes) {
      if (change.kind === 'compact') {
        forget(this.#disk, change.to)
        continue
      }
      write(this.#disk, change.persist)
      if (change.persist.hardState !== undefined) this.#disk.hardState = change.persist.hardState
      told = change.persist.sequence
    }
    if (told !== undefined) this.#listener(told)
  }
}

function write(log: Log, persist: Persist): void {
  const first = persist.entries[0]
  const base = persist.reset ?? log.base
  const last = persist.reset === undefined ? log.base.index + log.entries.length : base.index
  if (first !== undefined) assert(first.index > base.index && first.index <= last + 1, 'an append may leave no gap')
  if (persist.reset !== undefined) log.entries.length = 0
  log.base = base
  if (first === undefined) return
  log.entries.length = first.index - base.index - 1
  for (const entry of persist.entries) log.entries.push(entry)
}

function forget(log: Log, to: LogBase): void {
  log.entries.splice(0, to.index - log.base.index)
  log.base = to
}

function memoryReader(log: Log): LogReader {
  const at = (index: number): Entry => {
    const entry = log.entries[index - log.base.index - 1]
    assert(entry !== undefined, `no entry ${index}`)
    return entry
  }
  return {
    get base() {
      return log.base
    },
    lastIndex: () => log.base.index + log.entries.length,
    termAt: (index) => (index === log.base.index ? log.base.term : at(index).term),
    read: ({ from, to, bytesMax }) => {
      let end = from
      let bytes = at(from).bytes.length
      while (end < to && bytes + at(end + 1).bytes.length <= bytesMax) {
        end += 1
        bytes += at(end).bytes.length
      }
      return log.entries.slice(from - log.base.index - 1, end - log.base.index)
    },
  }
}
