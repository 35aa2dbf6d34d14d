// The membership entries that the log holds and the state machine has not applied.
//
// A membership takes effect when it is applied. That is safe only with three rules (thesis §4.1 and its 2015 correction; etcd keeps the same ones):
// 1. a leader proposes a change only when its log holds no unapplied one and it has committed an entry of its own term;
// 2. a node that knows of a committed but unapplied change does not campaign: it would count votes of a membership that is no longer in force;
// 3. what a node has forgotten by a restart must not weaken rule 2. The commit index is not kept on disk, but by rule 1 whoever appended a second membership entry
//    had applied the first. So in any log every membership entry but the last is committed, and a restarted node knows at least that.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { RaftLog } from './log.ts'
import { decodeMembership } from './membership-codec.ts'
import type { Membership, NodeId } from './membership.ts'

const scanBytesMax = 4 * 1024 * 1024

export class MembershipLog {
  // In order of index.
  #unapplied: Entry[] = []
  #newestEpoch = 0

  /** Reads the log from the first unapplied entry on. */
  constructor(log: RaftLog, appliedIndex: number) {
    let from = appliedIndex + 1
    while (from <= log.lastIndex) {
      const entries = log.read({ from, to: log.lastIndex, bytesMax: scanBytesMax })
      this.appended(entries)
      from += entries.length
    }
  }

  get hasUnapplied(): boolean {
    return this.#unapplied.length > 0
  }

  /** Rule 3: an index that is certainly committed, 0 when the log alone says nothing. */
  get certainlyCommitted(): number {
    return this.#unapplied.at(-2)?.index ?? 0
  }

  /** The newest epoch that an entry seen in this life carries: a leader whose own is newer has it to tell. */
  get newestEpoch(): number {
    return this.#newestEpoch
  }

  /** Whether the newest change in the log, committed or not, leaves `id` with a vote. */
  givesVoteTo(id: NodeId): boolean {
    const newest = this.#unapplied.at(-1)
    if (newest === undefined) return false
    const membership = decodeMembership(newest.payload)
    return membership.ok && membership.value.members.some((member) => member.id === id && member.suffrage === 'voter')
  }

  /** Rule 2. */
  hasUnappliedUpTo(commitIndex: number): boolean {
    const first = this.#unapplied[0]
    return first !== undefined && first.index <= commitIndex
  }

  /** Entries were appended, replacing what stood at the first one's index and after it. */
  appended(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    const last = this.#unapplied.at(-1)
    if (last !== undefined && last.index >= first.index) this.#unapplied = this.#unapplied.filter((entry) => entry.index < first.index)
    for (const entry of entries) if (entry.kind === 'membership') this.#unapplied.push(entry)
  }

  /** A snapshot stands for everything up to `index`; with `reset` the log holds nothing after it either. */
  installed(index: number, options: { readonly reset: boolean }): void {
    this.#unapplied = options.reset ? [] : this.#unapplied.filter((entry) => entry.index > index)
  }

  /** The memberships that have now been applied, in order. */
  applied(index: number): readonly Membership[] {
    const memberships: Membership[] = []
    while (this.#unapplied[0] !== undefined && this.#unapplied[0].index <= index) {
      const membership = decodeMembership(this.#unapplied[0].payload)
      assert(membership.ok, 'a committed membership entry can always be read')
      this.#newestEpoch = Math.max(this.#newestEpoch, membership.value.epoch ?? 0)
      this.#unapplied.shift()
      memberships.push(membership.value)
    }
    return memberships
  }
}
