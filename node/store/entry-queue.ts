// The committed entries that wait to be applied, each of them once and without a gap.
import assert from 'node:assert/strict'
import type { Entry } from '../raft/entry.ts'

export class EntryQueue {
  #waiting: readonly Entry[] = []
  #lastIndex: number

  /** Everything up to `appliedIndex` is applied. */
  constructor(appliedIndex: number) {
    this.#lastIndex = appliedIndex
  }

  get waiting(): readonly Entry[] {
    return this.#waiting
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  add(entries: readonly Entry[]): void {
    let index = this.#lastIndex
    for (const entry of entries) assert(entry.index === (index += 1), 'entries are applied without a gap, each once')
    this.#lastIndex = index
    this.#waiting = this.#waiting.length === 0 ? entries : [...this.#waiting, ...entries]
  }

  /** The first so many are applied, or somebody else does it. */
  drop(count: number): void {
    this.#waiting = this.#waiting.slice(count)
  }

  /** Nothing of it is applied any more: the log has it. */
  clear(): void {
    this.#waiting = []
  }
}
