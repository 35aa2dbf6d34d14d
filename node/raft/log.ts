// The log as the core sees it: the durable part behind a LogReader and, in front of it, the tail that is appended here but not yet on disk.
// The obvious way, to trust the store's last index, fails when storage is asynchronous: entries that are being written can be replaced by a newer leader's
// (and replaced again by the same ones: the ABA case), so an acknowledgement of an older write may only vouch for what no later write has touched.
// The log begins after its base, which moves on when the store is compacted, between two steps, and jumps when a snapshot replaces a log that it does not agree with.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { LogBase, LogReader } from './raft-port.ts'

/** A write handed out and not yet acknowledged: when it is, the current log is on disk up to `coversTo`. */
interface Writing {
  readonly sequence: number
  coversTo: number
}

export class RaftLog {
  readonly #reader: LogReader
  // Entries from #storedIndex + 1 to the last one; up to it the store serves them.
  #tail: Entry[] = []
  #tailBytes = 0
  #storedIndex: number
  // The base that a reset has set, until the store says the same or more.
  #resetBase: LogBase = { index: 0, term: 0 }
  // A reset that is not on disk yet. `sequence` undefined: not handed out to be written.
  #resetting: { readonly sequence: number | undefined; readonly durableBefore: number } | undefined
  // Entries after it have not yet been handed out to be written.
  #handedOutIndex: number
  #writing: Writing[] = []

  constructor(reader: LogReader) {
    this.#reader = reader
    this.#storedIndex = reader.lastIndex()
    this.#handedOutIndex = this.#storedIndex
  }

  get base(): LogBase {
    const { base } = this.#reader
    return base.index >= this.#resetBase.index ? base : this.#resetBase
  }

  get lastIndex(): number {
    return this.#storedIndex + this.#tail.length
  }

  get lastTerm(): number {
    return this.termAt(this.lastIndex)
  }

  /** Everything up to here is on this node's disk and still part of the log. */
  get durableIndex(): number {
    // Until the new beginning is on disk, a crash would bring back the old log: only what was applied of it is certain to be there then.
    return this.#resetting?.durableBefore ?? this.#storedIndex
  }

  /** The log holds the entry, and it is not on the disk yet. */
  isWriting(index: number): boolean {
    return index > this.durableIndex && index <= this.lastIndex
  }

  /** Bytes that wait for the disk. */
  get tailBytes(): number {
    return this.#tailBytes
  }

  /** Term of the entry at `index`, between base.index and lastIndex inclusive. */
  termAt(index: number): number {
    const { base } = this
    // Asked many times for each entry: the message is only made for who fails.
    if (index < base.index || index > this.lastIndex) assert.fail(`no entry ${index} between ${base.index} and ${this.lastIndex}`)
    if (index === base.index) return base.term
    return index <= this.#storedIndex ? this.#reader.termAt(index) : this.#tailAt(index).term
  }

  /** Whether the log holds an entry of this index and term; index 0 is before every log. */
  matches(index: number, term: number): boolean {
    if (index === 0) return term === 0
    return index >= this.base.index && index <= this.lastIndex && this.termAt(index) === term
  }

  /** Entries from..to inclusive, cut so that their bytes stay below `bytesMax`, but at least one when from <= to. */
  read(range: { readonly from: number; readonly to: number; readonly bytesMax: number }): readonly Entry[] {
    assert(range.from > this.base.index && range.to <= this.lastIndex, 'a read outside of the log')
    if (range.from > range.to) return []
    if (range.from > this.#storedIndex) return this.#readTail(range.from, range.to, range.bytesMax)
    const durableTo = Math.min(range.to, this.#storedIndex)
    const durable = this.#reader.read({ from: range.from, to: durableTo, bytesMax: range.bytesMax })
    if (durable.length < durableTo - range.from + 1 || durableTo === range.to) return durable
    const rest = range.bytesMax - bytesOf(durable)
    return rest < (this.#tail[0]?.bytes.length ?? 0) ? durable : [...durable, ...this.#readTail(durableTo + 1, range.to, rest)]
  }

  /** The highest index up to `index` whose term is at most `term`: the last place where a log with `term` at `index` can agree with this one. */
  lastIndexOfTermAtMost(term: number, index: number): number {
    let low = this.base.index
    let high = Math.min(index, this.lastIndex)
    if (high < low || this.termAt(low) > term) return low
    // Terms never descend along a log, so halving finds the border.
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.termAt(middle) <= term) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Appends at the end, replacing whatever stands at the first index and after it. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    assert(first.index > this.base.index && first.index <= this.lastIndex + 1, 'an append would leave a gap')
    if (first.index <= this.lastIndex) this.#truncateFrom(first.index)
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1 && entry.term >= this.lastTerm, 'entries are contiguous and their terms never descend')
      this.#tail.push(entry)
      this.#tailBytes += entry.bytes.length
    }
  }

  /**
   * A snapshot stands for everything up to `to.index`, and nothing else that this log held is to be kept (Raft figure 13, step 7). What is promised on the strength of
   * the log stays below `durableBefore` until the new beginning is on disk.
   */
  reset(to: LogBase, options: { readonly durableBefore: number }): void {
    assert(to.index > this.base.index, 'a log begins anew only after what it has already given up')
    this.#resetBase = to
    // A second one may come before the first is on disk.
    this.#resetting = { sequence: undefined, durableBefore: Math.min(options.durableBefore, this.durableIndex) }
    this.#tail = []
    this.#tailBytes = 0
    this.#storedIndex = to.index
    this.#handedOutIndex = to.index
    // The ABA case again: what is being written belongs to the log that has just ended.
    for (const writing of this.#writing) writing.coversTo = 0
  }

  /** What has been appended since the last call, now being written under `sequence`; with `reset`, the log begins anew there first. */
  takeUnwritten(sequence: number): { readonly entries: readonly Entry[]; readonly reset: LogBase | undefined } {
    const entries = this.#tail.slice(this.#handedOutIndex - this.#storedIndex)
    this.#handedOutIndex = this.lastIndex
    this.#writing.push({ sequence, coversTo: this.lastIndex })
    if (this.#resetting === undefined || this.#resetting.sequence !== undefined) return { entries, reset: undefined }
    this.#resetting = { sequence, durableBefore: this.#resetting.durableBefore }
    return { entries, reset: this.#resetBase }
  }

  get hasUnwritten(): boolean {
    return this.#handedOutIndex < this.lastIndex || (this.#resetting !== undefined && this.#resetting.sequence === undefined)
  }

  /** The first write under way after which everything up to `index` is on disk; undefined when it is already. */
  sequenceCovering(index: number): number | undefined {
    if (index <= this.durableIndex) return undefined
    const writing = this.#writing.find((candidate) => candidate.coversTo >= index)
    assert(writing !== undefined, `no write covers entry ${index}`)
    return writing.sequence
  }

  /** All writes up to `sequence` are on disk. */
  durable(sequence: number): void {
    let done = 0
    let index = this.#storedIndex
    for (const writing of this.#writing) {
      if (writing.sequence > sequence) break
      done += 1
      index = Math.max(index, writing.coversTo)
    }
    this.#writing = this.#writing.slice(done)
    const settled = this.#tail.splice(0, index - this.#storedIndex)
    this.#tailBytes -= bytesOf(settled)
    this.#storedIndex = index
    if (this.#resetting?.sequence !== undefined && this.#resetting.sequence <= sequence) this.#resetting = undefined
  }

  #truncateFrom(index: number): void {
    const removed = this.#tail.splice(Math.max(0, index - 1 - this.#storedIndex))
    this.#tailBytes -= bytesOf(removed)
    this.#storedIndex = Math.min(this.#storedIndex, index - 1)
    this.#handedOutIndex = Math.min(this.#handedOutIndex, index - 1)
    // The guard of the ABA case: writes under way no longer vouch for what has just been replaced, even if the same entries come back.
    for (const writing of this.#writing) writing.coversTo = Math.min(writing.coversTo, index - 1)
  }

  #tailAt(index: number): Entry {
    const entry = this.#tail[index - this.#storedIndex - 1]
    if (entry === undefined) assert.fail(`entry ${index} is not in the tail`)
    return entry
  }

  #readTail(from: number, to: number, bytesMax: number): readonly Entry[] {
    let end = from
    let bytes = this.#tailAt(from).bytes.length
    while (end < to && bytes + this.#tailAt(end + 1).bytes.length <= bytesMax) {
      end += 1
      bytes += this.#tailAt(end).bytes.length
    }
    return this.#tail.slice(from - this.#storedIndex - 1, end - this.#storedIndex)
  }
}

export function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0
  for (const entry of entries) bytes += entry.bytes.length
  return bytes
}
