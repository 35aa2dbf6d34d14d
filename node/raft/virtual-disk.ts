// For tests: a disk whose writes become durable only when the test says so, and lose what is not when the power goes.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { HardState, LogBase, LogReader, Persist } from './raft-port.ts'

export class VirtualDisk implements LogReader {
  readonly base: LogBase = { index: 0, term: 0 }
  hardState: HardState = { term: 0, votedFor: undefined }
  /** On the platter. */
  durable: Entry[] = []
  /** As the process sees it: with the writes under way. */
  #written: Entry[] = []
  #pending: Persist[] = []

  lastIndex(): number {
    return this.#written.length
  }

  termAt(index: number): number {
    return index === 0 ? 0 : this.#at(index).term
  }

  read(range: { readonly from: number; readonly to: number; readonly bytesMax: number }): readonly Entry[] {
    assert(range.from >= 1 && range.to <= this.#written.length && range.from <= range.to)
    let end = range.from
    let bytes = this.#at(range.from).bytes.length
    while (end < range.to && bytes + this.#at(end + 1).bytes.length <= range.bytesMax) {
      end += 1
      bytes += this.#at(end).bytes.length
    }
    return this.#written.slice(range.from - 1, end)
  }

  write(persist: Persist): void {
    this.#pending.push(persist)
    this.#written = replaced(this.#written, persist.entries)
  }

  get pendingSequences(): readonly number[] {
    return this.#pending.map((persist) => persist.sequence)
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
    this.#written = [...this.durable]
  }

  #reach(persist: Persist): void {
    if (persist.hardState !== undefined) this.hardState = persist.hardState
    this.durable = replaced(this.durable, persist.entries)
  }

  #at(index: number): Entry {
    const entry = this.#written[index - 1]
    assert(entry !== undefined, `no entry ${index}`)
    return entry
  }
}

function replaced(log: Entry[], entries: readonly Entry[]): Entry[] {
  const first = entries[0]
  if (first === undefined) return log
  assert(first.index <= log.length + 1, 'a gap on disk')
  log.length = first.index - 1
  for (const entry of entries) log.push(entry)
  return log
}
