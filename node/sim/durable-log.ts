// What a node's disk must hold, by the simulator's own count: what it was told to write, up to what it has called durable. Compared with what recovery finds.
import type { Entry } from '../raft/entry.ts'
import type { HardState, LogBase, LogReader, Persist } from '../raft/raft-port.ts'
import { must } from './violation.ts'

/** What can say whether it holds an entry. */
export interface Holder {
  holds(entry: { readonly index: number; readonly term: number }): boolean
}

/** What a disk has lost over all its losses since its node was last believed. */
export function eitherOf(lost: Holder, lostBefore: Holder | undefined): Holder {
  return { holds: (entry) => lost.holds(entry) || lostBefore?.holds(entry) === true }
}

export class DurableLog implements Holder {
  hardState: HardState = { term: 0, votedFor: undefined }
  base: LogBase = { index: 0, term: 0 }
  /** After the base, in order. */
  entries: Entry[] = []
  #pending: Persist[] = []

  get last(): number {
    return this.base.index + this.entries.length
  }

  at(index: number): Entry | undefined {
    return this.entries[index - this.base.index - 1]
  }

  /** What a snapshot replaced counts as held: it is in the database. */
  holds(entry: { readonly index: number; readonly term: number }): boolean {
    return entry.index <= this.base.index || this.at(entry.index)?.term === entry.term
  }

  written(persist: Persist): void {
    this.#pending.push(persist)
  }

  durable(sequence: number): void {
    while (this.#pending[0] !== undefined && this.#pending[0].sequence <= sequence) this.#reach(this.#pending.shift())
  }

  /** For what comes later: a disk may be damaged or put back. */
  copy(): DurableLog {
    const copy = new DurableLog()
    copy.hardState = this.hardState
    copy.base = this.base
    copy.entries = [...this.entries]
    return copy
  }

  /** What recovery found must be all that was called durable, and of what was under way a beginning. Then it is the new truth. */
  recovered(found: { readonly hardState: HardState; readonly reader: LogReader }, who: string): void {
    for (let more = this.#pending.length; !this.#equals(found); more -= 1) {
      must(
        more > 0,
        'durable',
        () => `${who}: after the restart its disk holds ${this.#inWords(found)}, it had promised ${this.#inWords(undefined)}`,
      )
      this.#reach(this.#pending.shift())
    }
    this.#pending = []
  }

  /** The disk was damaged: whatever is found there now is all there is. */
  damaged(found: { readonly hardState: HardState; readonly reader: LogReader }): void {
    this.hardState = found.hardState
    this.base = found.reader.base
    this.entries = allOf(found.reader)
    this.#pending = []
  }

  /** The log may be shorter at its beginning than this count: compaction reaches the disk in its own time. */
  #equals(found: { readonly hardState: HardState; readonly reader: LogReader }): boolean {
    const { reader, hardState } = found
    if (hardState.term !== this.hardState.term || hardState.votedFor !== this.hardState.votedFor) return false
    if (reader.lastIndex() !== this.last) return false
    for (let index = Math.max(this.base.index, reader.base.index) + 1; index <= this.last; index += 1) {
      if (this.at(index)?.term !== reader.termAt(index)) return false
    }
    return true
  }

  #reach(persist: Persist | undefined): void {
    if (persist === undefined) return
    if (persist.hardState !== undefined) this.hardState = persist.hardState
    if (persist.reset !== undefined) {
      this.base = persist.reset
      this.entries = []
    }
    const first = persist.entries[0]
    if (first === undefined) return
    this.entries.length = Math.min(this.entries.length, first.index - this.base.index - 1)
    for (const entry of persist.entries) this.entries.push(entry)
  }

  #inWords(found: { readonly hardState: HardState; readonly reader: LogReader } | undefined): string {
    const hardState = found?.hardState ?? this.hardState
    const last = found?.reader.lastIndex() ?? this.last
    const lastTerm = found === undefined ? this.at(last)?.term : found.reader.termAt(last)
    return `term ${hardState.term}, vote ${hardState.votedFor ?? '-'}, last entry ${last}/${lastTerm ?? '-'}, ${this.#pending.length} writes under way`
  }
}

function allOf(reader: LogReader): Entry[] {
  const entries: Entry[] = []
  while (reader.base.index + entries.length < reader.lastIndex())
    entries.push(...reader.read({ from: reader.base.index + entries.length + 1, to: reader.lastIndex(), bytesMax: 1_000_000 }))
  return entries
}
