// What the leader believes about one follower. How entries flow to it is a union, because each manner has data of its own:
// `probe`     one message at a time until it is known where the logs agree;
// `replicate` optimistic: the next entries leave before the last ones are confirmed, within a window;
// `snapshot`  the follower needs entries that the log no longer holds; nothing but install-snapshot goes out until it reports the log's base, which may move meanwhile.
// And what its word is worth is another: see trust.ts.
import assert from 'node:assert/strict'
import { Inflights } from './inflights.ts'
import type { RaftLimits } from './raft-port.ts'

export type Flow =
  | { readonly kind: 'probe'; readonly waiting: boolean }
  | { readonly kind: 'replicate'; readonly inflights: Inflights }
  | { readonly kind: 'snapshot'; readonly baseIndex: number }

/**
 * `trusted`: its acknowledgements count. `distrusted`: it has lost entries that it had acknowledged and does not know yet. `untrusted`: it knows. The word of the last two
 * counts for no majority: with the entries it may have forgotten a term and a vote.
 */
export type FollowerTrust = 'trusted' | 'distrusted' | 'untrusted'

export class Progress {
  readonly #limits: RaftLimits
  /** Durable at the follower and equal to the leader's log up to here (Raft figure 2). Never goes back within a term, unless the follower has lost it. */
  matchIndex = 0
  trust: FollowerTrust = 'trusted'
  /** Answers to appends with a lower number are from before a loss and confirm nothing. */
  firstValidNumber = 0
  /** Appends from this number on were sent when `matchIndex` was known: to refuse one of them is to have lost what was acknowledged. */
  matchKnownFrom = 0
  /** The next entry to send. */
  nextIndex: number
  /** The leader's tick at which this member was last heard of. */
  heardAtTick: number
  /** The newest read position that this member has confirmed (thesis §6.4). */
  readSequence = 0
  /** The commit index that the last message to it carried. */
  commitTold = 0
  flow: Flow = { kind: 'probe', waiting: false }

  constructor(start: { readonly nextIndex: number; readonly heardAtTick: number; readonly limits: RaftLimits }) {
    this.nextIndex = start.nextIndex
    this.heardAtTick = start.heardAtTick
    this.#limits = start.limits
  }

  get canSend(): boolean {
    switch (this.flow.kind) {
      case 'probe':
        return !this.flow.waiting
      case 'replicate':
        return !this.flow.inflights.full
      case 'snapshot':
        return false
    }
  }

  sent(entries: { readonly lastIndex: number; readonly bytes: number }): void {
    assert(this.canSend, 'entries were sent to a follower that may get none now')
    if (this.flow.kind === 'probe') this.flow = { kind: 'probe', waiting: true }
    if (this.flow.kind !== 'replicate') return
    this.flow.inflights.add(entries)
    this.nextIndex = entries.lastIndex + 1
  }

  /** How far its word counts towards a majority. */
  get countedIndex(): number {
    return this.trust === 'trusted' ? this.matchIndex : 0
  }

  get countedReadSequence(): number {
    return this.trust === 'trusted' ? this.readSequence : 0
  }

  /** The follower holds everything up to `matchIndex`. A late answer that says less changes nothing. */
  accepted(matchIndex: number): void {
    this.matchIndex = Math.max(this.matchIndex, matchIndex)
    switch (this.flow.kind) {
      case 'replicate':
        this.nextIndex = Math.max(this.nextIndex, this.matchIndex + 1)
        this.flow.inflights.freeTo(this.matchIndex)
        return
      case 'snapshot':
        if (this.matchIndex >= this.flow.baseIndex) this.#replicate()
        return
      case 'probe':
        this.#replicate()
    }
  }

  /**
   * The follower has no entry that fits before `refusedIndex + 1`; `retryAfter` is the highest index at which the logs can agree.
   * Late and repeated refusals are told apart by the index they refuse.
   */
  refused(refusal: { readonly refusedIndex: number; readonly retryAfter: number }): void {
    switch (this.flow.kind) {
      case 'replicate':
        if (refusal.refusedIndex > this.matchIndex) this.#probe({ waiting: false })
        return
      case 'probe':
        if (refusal.refusedIndex !== this.nextIndex - 1) return
        this.nextIndex = Math.max(Math.min(refusal.refusedIndex, refusal.retryAfter + 1), this.matchIndex + 1)
        this.flow = { kind: 'probe', waiting: false }
        return
      case 'snapshot':
        return
    }
  }

  /**
   * The connection is gone and what was sent may be lost: begin again after what is certain, with the next heartbeat's answer.
   * Sending at once would meet the same refused connection, and be told so, in a circle.
   */
  unreachable(): void {
    if (this.flow.kind !== 'snapshot') this.#probe({ waiting: true })
  }

  needSnapshot(baseIndex: number): void {
    this.flow = { kind: 'snapshot', baseIndex }
  }

  /** What it had confirmed is no longer certain: everything is found out anew, by appends from `firstValidNumber` on, the first of them after `retryAfter`. */
  lost(as: { readonly trust: FollowerTrust; readonly firstValidNumber: number; readonly retryAfter: number }): void {
    this.trust = as.trust
    this.firstValidNumber = as.firstValidNumber
    this.matchKnownFrom = as.firstValidNumber
    this.matchIndex = 0
    this.readSequence = 0
    this.#probe({ waiting: false })
    this.nextIndex = as.retryAfter + 1
  }

  #probe(flow: { readonly waiting: boolean }): void {
    this.nextIndex = this.matchIndex + 1
    this.flow = { kind: 'probe', waiting: flow.waiting }
  }

  #replicate(): void {
    this.nextIndex = this.matchIndex + 1
    const window = { messagesMax: this.#limits.inflightMessagesMax, bytesMax: this.#limits.inflightBytesMax }
    this.flow = { kind: 'replicate', inflights: new Inflights(window) }
  }
}
