// Where each entry of the log is: term, length and place on disk, 20 bytes an entry in columns that grow. An entry's place is unknown until it is durable.
import assert from 'node:assert/strict'
import type { LogBase } from '../raft/raft-port.ts'

const initialCapacity = 1024

export interface EntryPlace {
  readonly segment: number
  readonly offset: number
}

export class EntryIndex {
  readonly base: LogBase
  #count = 0
  #terms = new Float64Array(initialCapacity)
  #lengths = new Uint32Array(initialCapacity)
  #segments = new Uint32Array(initialCapacity)
  #offsets = new Uint32Array(initialCapacity)

  constructor(base: LogBase) {
    this.base = base
  }

  /** base.index when there is no entry. */
  get last(): number {
    return this.base.index + this.#count
  }

  /** The next entry; its place is not known yet. */
  push(term: number, length: number): void {
    if (this.#count === this.#terms.length) this.#grow()
    this.#terms[this.#count] = term
    this.#lengths[this.#count] = length
    this.#segments[this.#count] = 0
    this.#count += 1
  }

  /** Forgets the entry at `from` and all after it. */
  truncate(from: number): void {
    assert(from > this.base.index, 'the base of the log is never replaced')
    this.#count = Math.min(this.#count, from - this.base.index - 1)
  }

  locate(index: number, segment: number, offset: number): void {
    const at = this.#at(index)
    this.#segments[at] = segment
    this.#offsets[at] = offset
  }

  termAt(index: number): number {
    return index === this.base.index ? this.base.term : (this.#terms[this.#at(index)] ?? 0)
  }

  lengthAt(index: number): number {
    return this.#lengths[this.#at(index)] ?? 0
  }

  /** Undefined until the entry is durable. */
  placeAt(index: number): EntryPlace | undefined {
    const at = this.#at(index)
    const segment = this.#segments[at] ?? 0
    return segment === 0 ? undefined : { segment, offset: this.#offsets[at] ?? 0 }
  }

  #at(index: number): number {
    const at = index - this.base.index - 1
    assert(at >= 0 && at < this.#count, `entry ${index} is not in the log`)
    return at
  }

  #grow(): void {
    const capacity = this.#terms.length * 2
    this.#terms = grown(this.#terms, new Float64Array(capacity))
    this.#lengths = grown(this.#lengths, new Uint32Array(capacity))
    this.#segments = grown(this.#segments, new Uint32Array(capacity))
    this.#offsets = grown(this.#offsets, new Uint32Array(capacity))
  }
}

function grown<Column extends { set(values: Column): void }>(values: Column, into: Column): Column {
  into.set(values)
  return into
}
