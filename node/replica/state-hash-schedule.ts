// When the leader proposes to compare all state machines. Counted in entries of the log, so a new leader goes on with the count of the last one.
import type { Entry } from '../raft/entry.ts'

export class StateHashSchedule {
  readonly #everyEntries: number
  #lastIndex: number

  constructor(options: { readonly everyEntries: number; readonly appliedIndex: number }) {
    this.#everyEntries = options.everyEntries
    this.#lastIndex = options.appliedIndex
  }

  committed(entries: readonly Entry[]): void {
    for (const { kind, index } of entries) if (kind === 'state-hash') this.#lastIndex = index
  }

  /** A snapshot has moved the state machine past what was counted. */
  replaced(appliedIndex: number): void {
    this.#lastIndex = Math.max(this.#lastIndex, appliedIndex)
  }

  /** True at most once per so many entries, whether or not the comparison is committed. */
  isDue(appliedIndex: number): boolean {
    if (appliedIndex - this.#lastIndex < this.#everyEntries) return false
    this.#lastIndex = appliedIndex
    return true
  }
}
