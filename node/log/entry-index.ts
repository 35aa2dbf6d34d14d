// Where each entry of the log is: term, length and place on disk, 20 bytes an entry in columns that grow and shrink. An entry's place is unknown until it is durable.
import assert from 'node:assert/strict'
import type { LogBase } from '../raft/raft-port.ts'

const capacityMin = 1024

export interface EntryPlace {
  readonly segment: number
  readonly offset: number
}

interface Columns {
  readonly terms: Float64Array
  readonly lengths: Uint32Array
  readonly segments: Uint32Array
  readonly offsets: Uint32Array
}

export class EntryIndex {
  #base: LogBase
  /** Where in the columns the entry after the base stands: the front is given up lazily. */
  #head = 0
  #count = 0
  #columns = columns(capacityMin)

  constructor(base: LogBase) {
    this.#base = base
  }

  get base(): LogBase {
    return this.#base
  }

  /** base.index when there is no entry. */
  get last(): number {
    return this.#base.index + this.#count
  }

  /** Of entries, with those that were given up but still take room: what the memory is proportional to. */
  get capacity(): number {
    return this.#columns.terms.length
  }

  /** The next entry; its place is not known yet. */
  push(term: number, length: number): void {
    if (this.#head + this.#count === this.capacity) this.#resize()
    const at = this.#head + this.#count
    this.#columns.terms[at] = term
    this.#columns.lengths[at] = length
    this.#columns.segments[at] = 0
    this.#count += 1
  }

  /** Forgets the entry at `from` and all after it. */
  truncate(from: number): void {
    assert(from > this.#base.index, 'the base of the log is never replaced')
    this.#count = Math.min(this.#count, from - this.#base.index - 1)
  }

  /** Forgets the entries up to and including the new base, which is in the log. */
  compact(base: LogBase): void {
    assert(base.index >= this.#base.index && base.index <= this.last, 'the new base is an entry of the log')
    const given = base.index - this.#base.index
    this.#base = base
    this.#head += given
    this.#count -= given
    // Moving the rest costs as much as what was given up since: rare, and cheap on average.
    if (this.capacity > capacityMin && this.#count < this.capacity / 4) this.#resize()
  }

  /** Forgets everything; the next entry is the one after `base`. */
  reset(base: LogBase): void {
    this.#base = base
    this.#head = 0
    this.#count = 0
    this.#columns = columns(capacityMin)
  }

  locate(index: number, segment: number, offset: number): void {
    const at = this.#at(index)
    this.#columns.segments[at] = segment
    this.#columns.offsets[at] = offset
  }

  termAt(index: number): number {
    return index === this.#base.index ? this.#base.term : (this.#columns.terms[this.#at(index)] ?? 0)
  }

  lengthAt(index: number): number {
    return this.#columns.lengths[this.#at(index)] ?? 0
  }

  /** Undefined until the entry is durable. */
  placeAt(index: number): EntryPlace | undefined {
    const at = this.#at(index)
    const segment = this.#columns.segments[at] ?? 0
    return segment === 0 ? undefined : { segment, offset: this.#columns.offsets[at] ?? 0 }
  }

  #at(index: number): number {
    const position = index - this.#base.index - 1
    // Asked many times for each entry: the message is only made for who fails.
    if (position < 0 || position >= this.#count) assert.fail(`entry ${index} is not in the log`)
    return this.#head + position
  }

  #resize(): void {
    const before = this.#columns
    const [from, to] = [this.#head, this.#head + this.#count]
    this.#columns = columns(Math.max(capacityMin, this.#count * 2))
    this.#columns.terms.set(before.terms.subarray(from, to))
    this.#columns.lengths.set(before.lengths.subarray(from, to))
    this.#columns.segments.set(before.segments.subarray(from, to))
    this.#columns.offsets.set(before.offsets.subarray(from, to))
    this.#head = 0
  }
}

function columns(capacity: number): Columns {
  return {
    terms: new Float64Array(capacity),
    lengths: new Uint32Array(capacity),
    segments: new Uint32Array(capacity),
    offsets: new Uint32Array(capacity),
  }
}
