// Proposals between being made and being answered. A proposal's fate is known when an entry is applied at its index: the same term means that it is this
// proposal, another term that it was replaced; and since at most one entry is ever committed at an index (Raft §5.4.3), a replaced one never will be.
import type { RefusalCode } from '../raft/raft-port.ts'
import type { Applied } from './state-machine.ts'

/** `refused`: it never entered the log. `replaced`: certainly not committed, now or later. `unknown`: may still be. */
export type ProposalEnd =
  | { readonly kind: 'applied'; readonly applied: Applied }
  | { readonly kind: 'refused'; readonly code: RefusalCode }
  | { readonly kind: 'replaced' }
  | { readonly kind: 'unknown' }

interface Pending {
  readonly deadlineAtMs: number
  readonly end: (end: ProposalEnd) => void
  place: { readonly index: number; readonly term: number } | undefined
}

export class PendingProposals {
  readonly #byId = new Map<number, Pending>()
  readonly #idAt = new Map<number, number>()
  #earliestDeadlineAtMs = Infinity

  get count(): number {
    return this.#byId.size
  }

  add(id: number, proposal: { readonly deadlineAtMs: number; readonly end: (end: ProposalEnd) => void }): void {
    this.#byId.set(id, { ...proposal, place: undefined })
    this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, proposal.deadlineAtMs)
  }

  refused(id: number, code: RefusalCode): void {
    this.#end(id, { kind: 'refused', code })
  }

  placed(id: number, place: { readonly index: number; readonly term: number }): void {
    const pending = this.#byId.get(id)
    if (pending === undefined) return
    // A node that led, lost its tail and leads again may give an index twice: the older proposal there was replaced.
    this.#end(this.#idAt.get(place.index), { kind: 'unknown' })
    pending.place = place
    this.#idAt.set(place.index, id)
  }

  applied(applied: Applied): void {
    const id = this.#idAt.get(applied.index)
    if (id === undefined) return
    const isSame = this.#byId.get(id)?.place?.term === applied.term
    this.#end(id, isSame ? { kind: 'applied', applied } : { kind: 'replaced' })
  }

  expire(nowMs: number): void {
    if (nowMs < this.#earliestDeadlineAtMs) return
    this.#earliestDeadlineAtMs = Infinity
    for (const [id, pending] of this.#byId) {
      if (pending.deadlineAtMs <= nowMs) this.#end(id, { kind: 'unknown' })
      else this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, pending.deadlineAtMs)
    }
  }

  endAll(): void {
    for (const id of Array.from(this.#byId.keys())) this.#end(id, { kind: 'unknown' })
  }

  #end(id: number | undefined, end: ProposalEnd): void {
    if (id === undefined) return
    const pending = this.#byId.get(id)
    if (pending === undefined) return
    this.#byId.delete(id)
    if (pending.place !== undefined) this.#idAt.delete(pending.place.index)
    pending.end(end)
  }
}
