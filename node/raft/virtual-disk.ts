// For tests: a disk whose writes become durable only when the test says so, and lose what is not when the power goes.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { HardState, LogBase, LogReader, Persist } from './raft-port.ts'

/** A log from its base on. */
interface Kept {
  base: LogBase
  entries: Entry[]
}

export class VirtualDisk implements LogReader {
  hardState: HardState = { term: 0, votedFor: undefined }
  /** On the platter. */
  #durable: Kept = { base: { index: 0, term: 0 }, entries: [] }
  /** As the process sees it: with the writes under way. */
  #written: Kept = { base: { index: 0, term: 0 }, entries: [] }
  #pending: Persist[] = []

  get base(): LogBase {
    return this.#written.base
  }

  lastIndex(): number {
    return lastIndexOf(this.#written)
  }

  termAt(index: number): number {
    return index === this.base.index ? this.base.term : entryOf(this.#written, index).term
  }

  read(range: { readonly from: number; readonly to: number; readonly bytesMax: number }): readonly Entry[] {
    assert(range.from > this.base.index && range.to <= this.lastIndex() && range.from <= range.to, 'a read outside of the log')
    let end = range.from
    let bytes = entryOf(this.#written, range.from).bytes.length
    while (end < range.to && bytes + entryOf(this.#written, end + 1).bytes.length <= range.bytesMax) {
      end += 1
      bytes += entryOf(this.#written, end).bytes.length
    }
    return this.#written.entries.slice(range.from - 1 - this.base.index, end - this.base.index)
  }

  write(persist: Persist): void {
    this.#pending.push(persist)
    add(this.#written, persist)
  }

  /** Gives up the entries up to `index`; as in the real store, the disk would follow in its own time. */
  compact(index: number): void {
    if (index <= this.base.index) return
    const base = { index, term: this.termAt(index) }
    for (const kept of [this.#written, this.#durable]) {
      // Nothing is compacted that is not on disk, so only a reset under way can have put the two apart.
      if (kept.base.index >= index || lastIndexOf(kept) < index) continue
      kept.entries.splice(0, index - kept.base.index)
      kept.base = base
    }
  }

  get pendingSequences(): readonly number[] {
    return this.#pending.map((persist) => persist.sequence)
  }

  get durableLastIndex(): number {
    return lastIndexOf(this.#durable)
  }

  get durableBase(): LogBase {
    return this.#durable.base
  }

  /** What stands on the platter there; undefined when nothing does, or no longer. */
  durableAt(index: number): Entry | undefined {
    return this.#durable.entries[index - this.#durable.base.index - 1]
  }

  /** Everything up to `sequence` reaches the platter. */
  sync(sequence: number): void {
    for (const persist of this.#pending) if (persist.sequence <= sequence) this.#reach(persist)
    this.#pending = this.#pending.filter((persist) => persist.sequence > sequence)
  }

  /** Power is lost; of the writes under way the first `kept` happened to get through. */
  losePower(kept: number): void {
    for (const persist of this.#pending.slice(0, kept)) this.#reach(persist)
    this.#pending = []
    this.#written = copyOf(this.#durable)
  }

  /** The log is lost, as far as it goes beyond what the state machine holds; it begins anew there. Term and vote may be older ones. */
  begin(at: LogBase, hardState = this.hardState): void {
    assert.equal(this.#pending.length, 0)
    this.hardState = hardState
    this.#durable = { base: at, entries: [] }
    this.#written = copyOf(this.#durable)
  }

  /** The entries after `index` are gone. */
  cut(index: number): void {
    assert.equal(this.#pending.length, 0)
    this.#durable.entries.length = index - this.#durable.base.index
    this.#written = copyOf(this.#durable)
  }

  image(): { readonly hardState: HardState; readonly kept: unknown } {
    return { hardState: this.hardState, kept: copyOf(this.#durable) }
  }

  /** The disk is put back in time. */
  restore(image: ReturnType<VirtualDisk['image']>): void {
    this.#pending = []
    this.hardState = image.hardState
    this.#durable = copyOf(image.kept as Kept)
    this.#written = copyOf(this.#durable)
  }

  #reach(persist: Persist): void {
    if (persist.hardState !== undefined) this.hardState = persist.hardState
    add(this.#durable, persist)
  }
}

function add(kept: Kept, persist: Persist): void {
  if (persist.reset !== undefined) {
    kept.base = persist.reset
    kept.entries = []
  }
  const first = persist.entries[0]
  if (first === undefined) return
  assert(first.index > kept.base.index && first.index <= lastIndexOf(kept) + 1, 'a gap on disk')
  kept.entries.length = first.index - 1 - kept.base.index
  for (const entry of persist.entries) kept.entries.push(entry)
}

function lastIndexOf(kept: Kept): number {
  return kept.base.index + kept.entries.length
}

function copyOf(kept: Kept): Kept {
  return { base: kept.base, entries: [...kept.entries] }
}

function entryOf(kept: Kept, index: number): Entry {
  const entry = kept.entries[index - kept.base.index - 1]
  assert(entry !== undefined, `no entry ${index}`)
  return entry
}
