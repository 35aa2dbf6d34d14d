// The log as the core sees it: the durable part behind a LogReader and, in front of it, the tail that is appended here but not yet on disk.
// The obvious way, to trust the store's last index, fails when storage is asynchronous: entries that are being written can be replaced by a newer leader's
// (and replaced again by the same ones: the ABA case), so an acknowledgement of an older write may only vouch for what no later write has touched.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { LogReader } from './raft-port.ts'

/** A write handed out and not yet acknowledged: when it is, the current log is on disk up to `coversTo`. */
interface Writing {
  readonly sequence: number
  coversTo: number
}

export class RaftLog {
  readonly #reader: LogReader
  // Entries from #durableIndex + 1 to the last one.
  #tail: Entry[] = []
  #tailBytes = 0
  #durableIndex: number
  // Entries after it have not yet been handed out to be written.
  #handedOutIndex: number
  #writing: Writing[] = []

  constructor(reader: LogReader) {
    this.#reader = reader
    this.#durableIndex = reader.lastIndex()
    this.#handedOutIndex = this.#durableIndex
  }

  get base(): { readonly index: number; readonly term: number } {
    return this.#reader.base
  }

  get lastIndex(): number {
    return this.#durableIndex + this.#tail.length
  }

  get lastTerm(): number {
    return this.termAt(this.lastIndex)
  }

  /** Everything up to here is on this node's disk and still part of the log. */
  get durableIndex(): number {
    return this.#durableIndex
  }

  /** Bytes that wait for the disk. */
  get tailBytes(): number {
    return this.#tailBytes
  }

  /** Term of the entry at `index`, between base.index and lastIndex inclusive. */
  termAt(index: number): number {
    assert(index >= this.base.index && index <= this.lastIndex, `no entry ${index} between ${this.base.index} and ${this.lastIndex}`)
    if (index === this.base.index) return this.base.term
    return index <= this.#durableIndex ? this.#reader.termAt(index) : this.#tailAt(index).term
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
    if (range.from > this.#durableIndex) return this.#readTail(range.from, range.to, range.bytesMax)
    const durableTo = Math.min(range.to, this.#durableIndex)
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

  /** What has been appended since the last call, now being written under `sequence`. */
  takeUnwritten(sequence: number): readonly Entry[] {
    const entries = this.#tail.slice(this.#handedOutIndex - this.#durableIndex)
    this.#handedOutIndex = this.lastIndex
    this.#writing.push({ sequence, coversTo: this.lastIndex })
    return entries
  }

  get hasUnwritten(): boolean {
    return this.#handedOutIndex < this.lastIndex
  }

  /** The first write under way after which everything up to `index` is on disk; undefined when it is already. */
  sequenceCovering(index: number): number | undefined {
    if (index <= this.#durableIndex) return undefined
    const writing = this.#writing.find((candidate) => candidate.coversTo >= index)
    assert(writing !== undefined, `no write covers entry ${index}`)
    return writing.sequence
  }

  /** All writes up to `sequence` are on disk. */
  durable(sequence: number): void {
    let done = 0
    let index = this.#durableIndex
    for (const writing of this.#writing) {
      if (writing.sequence > sequence) break
      done += 1
      index = Math.max(index, writing.coversTo)
    }
    this.#writing = this.#writing.slice(done)
    const settled = this.#tail.splice(0, index - this.#durableIndex)
    this.#tailBytes -= bytesOf(settled)
    this.#durableIndex = index
  }

  #truncateFrom(index: number): void {
    const removed = this.#tail.splice(Math.max(0, index - 1 - this.#durableIndex))
    this.#tailBytes -= bytesOf(removed)
    this.#durableIndex = Math.min(this.#durableIndex, index - 1)
    this.#handedOutIndex = Math.min(this.#handedOutIndex, index - 1)
    // The guard of the ABA case: writes under way no longer vouch for what has just been replaced, even if the same entries come back.
    for (const writing of this.#writing) writing.coversTo = Math.min(writing.coversTo, index - 1)
  }

  #tailAt(index: number): Entry {
    const entry = this.#tail[index - this.#durableIndex - 1]
    assert(entry !== undefined, `entry ${index} is not in the tail`)
    return entry
  }

  #readTail(from: number, to: number, bytesMax: number): readonly Entry[] {
    let end = from
    let bytes = this.#tailAt(from).bytes.length
    while (end < to && bytes + this.#tailAt(end + 1).bytes.length <= bytesMax) {
      end += 1
      bytes += this.#tailAt(end).bytes.length
    }
    return this.#tail.slice(from - this.#durableIndex - 1, end - this.#durableIndex)
  }
}

export function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0
  for (const entry of entries) bytes += entry.bytes.length
  return bytes
}
