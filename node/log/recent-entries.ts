// The end of the log in memory, up to a limit of bytes and of entries (a small one takes several times its bytes). An entry leaves only from the front, and only when it can be read from disk.
import type { Entry } from '../raft/entry.ts'

export interface RecentLimits {
  readonly recentBytesMax: number
  readonly recentEntriesMax: number
}

export class RecentEntries {
  #first: number
  /** Position in #entries of the entry with index #first: the front is given up lazily. */
  #head = 0
  #entries: (Entry | undefined)[] = []
  #bytes = 0
  readonly #limits: RecentLimits

  /** `first`: the index that the next entry will have. */
  constructor(first: number, limits: RecentLimits) {
    this.#first = first
    this.#limits = limits
  }

  at(index: number): Entry | undefined {
    return index < this.#first ? undefined : this.#entries[this.#head + index - this.#first]
  }

  push(entry: Entry): void {
    if (this.#entries.length === this.#head) this.#first = entry.index
    this.#entries.push(entry)
    this.#bytes += entry.bytes.length
  }

  /** Forgets the entry at `from` and all after it. */
  truncate(from: number): void {
    while (this.#entries.length > this.#head && this.#first + this.#entries.length - this.#head > from) {
      this.#bytes -= this.#entries.pop()?.bytes.length ?? 0
    }
  }

  /** Forgets the entries up to and including `index`, wherever else they are. */
  forgetTo(index: number): void {
    while (this.#entries.length > this.#head && this.#first <= index) this.#dropFirst()
    this.#moveToFront()
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries = []
    this.#head = 0
    this.#bytes = 0
  }

  evict(mayLeave: (index: number) => boolean): void {
    while (this.#isFull && this.#entries.length > this.#head && mayLeave(this.#first)) this.#dropFirst()
    this.#moveToFront()
  }

  get #isFull(): boolean {
    return this.#bytes > this.#limits.recentBytesMax || this.#entries.length - this.#head > this.#limits.recentEntriesMax
  }

  #dropFirst(): void {
    this.#bytes -= this.#entries[this.#head]?.bytes.length ?? 0
    this.#entries[this.#head] = undefined
    this.#head += 1
    this.#first += 1
  }

  #moveToFront(): void {
    // Moving the rest to the front costs as much as what was given up since: rare, and cheap on average.
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
