// Proposals between being made and being answered. A proposal's fate is known when an entry is applied at its index: the same term means that it is this
// proposal, another term that it was replaced; and since at most one entry is ever committed at an index (Raft §5.4.3), a replaced one never will be.
import type { Input, RefusalCode } from '../raft/raft-port.ts'
import type { EntryPlace } from './replica-port.ts'
import type { Applied } from './state-machine.ts'

/** `refused`: it never entered the log. `replaced`: certainly not committed, now or later. `unknown`: may still be. */
export type ProposalEnd =
  | { readonly kind: 'applied'; readonly applied: Applied }
  | { readonly kind: 'refused'; readonly code: RefusalCode }
  | { readonly kind: 'replaced' }
  | { readonly kind: 'unknown' }

export type ProposalInput = Extract<Input, { readonly kind: 'propose' | 'change-membership' }>

interface Proposal {
  readonly deadlineAtMs: number
  readonly placed?: ((place: EntryPlace) => void) | undefined
  readonly end: (end: ProposalEnd) => void
}

/** `sent`: the core has it, and may have refused to take it now. `held`: waits here for the end of a transfer of leadership. `placed`: in the log. */
type Progress =
  | { readonly kind: 'sent' | 'held'; readonly input: ProposalInput }
  | { readonly kind: 'placed'; readonly index: number; readonly term: number }

interface Pending extends Proposal {
  progress: Progress
}

export class PendingProposals {
  readonly #heldBytesMax: number
  readonly #byId = new Map<number, Pending>()
  readonly #idAt = new Map<number, number>()
  #held = new Set<number>()
  #heldBytes = 0
  #earliestDeadlineAtMs = Infinity

  /** `heldBytesMax`: of all payloads together that wait for the end of a transfer. */
  constructor(options: { readonly heldBytesMax: number }) {
    this.#heldBytesMax = options.heldBytesMax
  }

  get count(): number {
    return this.#byId.size
  }

  add(input: ProposalInput, proposal: Proposal): void {
    this.#byId.set(input.id, { ...proposal, progress: { kind: 'sent', input } })
    this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, proposal.deadlineAtMs)
  }

  /** While leadership is handed over nothing is taken; a moment later this node or another one will take it, so it waits for that within its own deadline. */
  refused(id: number, code: RefusalCode): void {
    const pending = this.#byId.get(id)
    if (code !== 'transfer_in_progress' || pending?.progress.kind !== 'sent') return this.#end(id, { kind: 'refused', code })
    const { input } = pending.progress
    if (this.#heldBytes + bytesOf(input) > this.#heldBytesMax) return this.#end(id, { kind: 'refused', code: 'overloaded' })
    pending.progress = { kind: 'held', input }
    this.#held.add(id)
    this.#heldBytes += bytesOf(input)
  }

  /** What is held, to be given to the core again, in the order in which it came. */
  release(): readonly ProposalInput[] {
    const inputs: ProposalInput[] = []
    for (const id of this.#held) {
      const pending = this.#byId.get(id)
      if (pending?.progress.kind !== 'held') continue
      pending.progress = { kind: 'sent', input: pending.progress.input }
      inputs.push(pending.progress.input)
    }
    this.#held = new Set()
    this.#heldBytes = 0
    return inputs
  }

  placed(id: number, { index, term }: EntryPlace): void {
    const pending = this.#byId.get(id)
    if (pending === undefined) return
    // A node that led, lost its tail and leads again may give an index twice: the older proposal there was replaced.
    this.#end(this.#idAt.get(index), { kind: 'unknown' })
    pending.progress = { kind: 'placed', index, term }
    this.#idAt.set(index, id)
    pending.placed?.({ index, term })
  }

  applied(applied: Applied): void {
    const id = this.#idAt.get(applied.index)
    if (id === undefined) return
    const progress = this.#byId.get(id)?.progress
    const isSame = progress?.kind === 'placed' && progress.term === applied.term
    this.#end(id, isSame ? { kind: 'applied', applied } : { kind: 'replaced' })
  }

  /** A snapshot has replaced the state machine up to `index`: whether a proposal is among what it holds cannot be seen any more. */
  skippedTo(index: number): void {
    for (const [at, id] of this.#idAt) if (at <= index) this.#end(id, { kind: 'unknown' })
  }

  expire(nowMs: number): void {
    if (nowMs < this.#earliestDeadlineAtMs) return
    this.#earliestDeadlineAtMs = Infinity
    for (const [id, pending] of this.#byId) {
      if (pending.deadlineAtMs <= nowMs) this.#end(id, lateEnd(pending))
      else this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, pending.deadlineAtMs)
    }
  }

  endAll(): void {
    for (const [id, pending] of Array.from(this.#byId)) this.#end(id, lateEnd(pending))
  }

  #end(id: number | undefined, end: ProposalEnd): void {
    if (id === undefined) return
    const pending = this.#byId.get(id)
    if (pending === undefined) return
    this.#byId.delete(id)
    if (pending.progress.kind === 'placed') this.#idAt.delete(pending.progress.index)
    if (pending.progress.kind === 'held' && this.#held.delete(id)) this.#heldBytes -= bytesOf(pending.progress.input)
    pending.end(end)
  }
}

/** What is still held has certainly not entered the log. */
function lateEnd({ progress }: Pending): ProposalEnd {
  return progress.kind === 'held' ? { kind: 'refused', code: 'transfer_in_progress' } : { kind: 'unknown' }
}

function bytesOf(input: ProposalInput): number {
  return input.kind === 'propose' ? input.payload.length : 0
}
