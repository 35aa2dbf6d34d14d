// Gathers what one step decides into an Output, and holds back what would be a lie if this node lost power now: a granted vote, an acknowledgement, a request for
// votes may leave only when the term, vote and entries that they speak of are on disk (Raft figure 2; hazard: a vote given twice in one term after a crash).
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { RaftLog } from './log.ts'
import type { NodeId } from './membership.ts'
import type { Message, Parcel } from './message.ts'
import type { HardState, Output, Persist, RaftEvent, RefusalCode, SnapshotPoint } from './raft-port.ts'

/**
 * What waits for the disk. `campaign`: the candidate's own vote and its requests to the others; writes reach the disk in order, so when its new term is there, the log
 * that it stands with is, too.
 */
export type Promised =
  | { readonly kind: 'send'; readonly term: number; readonly logIndex: number; readonly parcel: Parcel }
  | { readonly kind: 'campaign'; readonly term: number }

export class Outbox {
  readonly #log: RaftLog
  #sequence = 0
  #durableSequence = 0
  // The write that carries the newest term and vote.
  #hardStateSequence = 0
  #hardStateChanged = false
  #promised: Promised[] = []
  #held: { readonly sequence: number; readonly promised: Promised }[] = []
  #send: Parcel[] = []
  #install: SnapshotPoint | undefined
  #fetchSnapshot: Output['fetchSnapshot']
  #committed: readonly Entry[] = []
  #proposed: { id: number; index: number; term: number }[] = []
  #reads: { id: number; index: number }[] = []
  #refused: { id: number; code: RefusalCode }[] = []
  #events: RaftEvent[] = []

  constructor(log: RaftLog) {
    this.#log = log
  }

  send(to: NodeId, message: Message): void {
    this.#send.push({ to, message })
  }

  /** Comes true when the newest term and vote, and for a message the log up to `logIndex` (0: none of it), are on disk. */
  promise(promised: Promised): void {
    this.#promised.push(promised)
  }

  install(point: SnapshotPoint): void {
    this.#install = point
  }

  fetchSnapshot(wanted: NonNullable<Output['fetchSnapshot']>): void {
    this.#fetchSnapshot = wanted
  }

  /** The log has begun anew after `index`: nobody is told any more that entries after it are here. */
  forgetAfter(index: number): void {
    const isGone = (promised: Promised): boolean => promised.kind === 'send' && promised.logIndex > index
    this.#promised = this.#promised.filter((promised) => !isGone(promised))
    this.#held = this.#held.filter((item) => !isGone(item.promised))
  }

  hardStateChanged(): void {
    this.#hardStateChanged = true
  }

  committed(entries: readonly Entry[]): void {
    this.#committed = entries
  }

  proposed(id: number, place: { readonly index: number; readonly term: number }): void {
    this.#proposed.push({ id, index: place.index, term: place.term })
  }

  read(id: number, index: number): void {
    this.#reads.push({ id, index })
  }

  refuse(id: number, code: RefusalCode): void {
    this.#refused.push({ id, code })
  }

  event(event: RaftEvent): void {
    this.#events.push(event)
  }

  /** What has come true by this acknowledgement, in the order in which it was promised. */
  durable(sequence: number): readonly Promised[] {
    assert(sequence <= this.#sequence, 'an acknowledgement of a write that was never asked for')
    this.#durableSequence = Math.max(this.#durableSequence, sequence)
    const due = this.#held.filter((item) => item.sequence <= this.#durableSequence)
    if (due.length > 0) this.#held = this.#held.filter((item) => item.sequence > this.#durableSequence)
    return due.map((item) => item.promised)
  }

  /** Ends the step: decides what is written, and which promises need not wait for it. */
  take(hardState: HardState): Output {
    const persist = this.#persist(hardState)
    this.#settlePromises(hardState.term)
    const output: Output = {
      install: this.#install,
      fetchSnapshot: this.#fetchSnapshot,
      persist,
      send: this.#send,
      committed: this.#committed,
      proposed: this.#proposed,
      reads: this.#reads,
      refused: this.#refused,
      events: this.#events,
    }
    this.#install = undefined
    this.#fetchSnapshot = undefined
    this.#send = []
    this.#committed = []
    this.#proposed = []
    this.#reads = []
    this.#refused = []
    this.#events = []
    return output
  }

  #persist(hardState: HardState): Persist | undefined {
    if (!this.#hardStateChanged && !this.#log.hasUnwritten) return undefined
    this.#sequence += 1
    const { entries, reset } = this.#log.takeUnwritten(this.#sequence)
    const persist = { sequence: this.#sequence, hardState: this.#hardStateChanged ? hardState : undefined, entries }
    if (this.#hardStateChanged) this.#hardStateSequence = this.#sequence
    this.#hardStateChanged = false
    return reset === undefined ? persist : { ...persist, reset }
  }

  // A promise of an older term is dropped, not kept: the entries it vouches for may have been replaced since, and nobody waits for it any more.
  #settlePromises(term: number): void {
    for (const promised of this.#promised) {
      if (promised.term !== term) continue
      const logIndex = promised.kind === 'send' ? promised.logIndex : 0
      const sequence = Math.max(this.#log.sequenceCovering(logIndex) ?? 0, this.#hardStateSequence)
      if (sequence > this.#durableSequence) {
        this.#held.push({ sequence, promised })
        continue
      }
      assert(promised.kind === 'send', 'a candidate has always changed its term and waits for the disk')
      this.#send.push(promised.parcel)
    }
    this.#promised = []
  }
}
