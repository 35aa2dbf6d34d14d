// Everyone who waits for an answer of this node: proposals for their entry, reads for their confirmation, waits for an index, transfers for another leader.
// What becomes of them is told by the loop; here it is put into the words of the port.
import type { NodeId } from '../raft/membership.ts'
import type { Output, RefusalCode } from '../raft/raft-port.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { PendingProposals, type ProposalEnd, type ProposalInput } from './pending-proposals.ts'
import { PendingReads, type ReadEnd } from './pending-reads.ts'
import { PendingTransfers } from './pending-transfers.ts'
import type { ProposeOptions, ReplicaProblem } from './replica-port.ts'
import type { Applied } from './state-machine.ts'
import { WaitingRoom } from './waiting-room.ts'

export type ProblemCode = ReplicaProblem['code']
export type Ended<Value> = Result<Value, ReplicaProblem>

interface Waiter {
  readonly deadlineAtMs: number
  readonly resolve: (ended: Ended<number>) => void
}

/** What the loop knows, as of now. */
export interface CallersView {
  readonly nowMs: () => number
  readonly leader: () => NodeId | undefined
  readonly appliedIndex: () => number
  /** Why this node may serve nothing; undefined: it may. */
  readonly standingProblem: () => 'removed' | 'diverged' | undefined
}

export class Callers {
  readonly #view: CallersView
  readonly #proposals: PendingProposals
  readonly #reads = new PendingReads()
  readonly #waits = new WaitingRoom()
  readonly #transfers = new PendingTransfers()

  constructor(view: CallersView, options: { readonly heldBytesMax: number }) {
    this.#view = view
    this.#proposals = new PendingProposals(options)
  }

  get count(): number {
    return this.#proposals.count + this.#reads.count + this.#waits.count + this.#transfers.count
  }

  propose(input: ProposalInput, options: ProposeOptions): Promise<Ended<Applied>> {
    return new Promise((resolve) => {
      this.#proposals.add(input, {
        deadlineAtMs: this.#deadline(options),
        placed: options.onPlaced,
        end: (end) => resolve(this.#proposalEnded(end)),
      })
    })
  }

  read(options: { readonly timeoutMs: number }): Promise<Ended<number>> {
    const deadlineAtMs = this.#deadline(options)
    return new Promise((resolve) => {
      this.#reads.add({ deadlineAtMs, end: (end) => this.#endRead(end, { deadlineAtMs, resolve }) })
    })
  }

  wait(index: number, options: { readonly timeoutMs: number }): Promise<Ended<number>> {
    return new Promise((resolve) => this.#waitFor(index, { deadlineAtMs: this.#deadline(options), resolve }))
  }

  transfer(options: { readonly timeoutMs: number }): Promise<Ended<void>> {
    return new Promise((resolve) => {
      const end = (isDone: boolean): void => resolve(isDone ? ok(undefined) : this.problem('deadline'))
      this.#transfers.add({ deadlineAtMs: this.#deadline(options), end })
    })
  }

  /** Those who have begun to read are asked for as read `id`; false when there are none. */
  askReads(id: number): boolean {
    return this.#reads.ask(id)
  }

  answered(output: Output): void {
    for (const proposed of output.proposed) this.#proposals.placed(proposed.id, proposed)
    for (const { id, code } of output.refused) {
      this.#reads.end(id, { kind: 'refused', code })
      this.#proposals.refused(id, code)
    }
    for (const read of output.reads) this.#reads.end(read.id, { kind: 'confirmed', index: read.index })
  }

  applied(applied: readonly Applied[]): void {
    for (const one of applied) this.#proposals.applied(one)
    this.#waits.reached(this.#view.appliedIndex())
  }

  /** A snapshot has taken the state machine to where it is now. */
  replaced(): void {
    this.#proposals.skippedTo(this.#view.appliedIndex())
    this.#waits.reached(this.#view.appliedIndex())
  }

  /** Another node leads. */
  led(): void {
    this.#transfers.done()
  }

  /** Proposals that waited for the end of a transfer, to be given to the core again. */
  release(): readonly ProposalInput[] {
    return this.#proposals.release()
  }

  expire(): void {
    const nowMs = this.#view.nowMs()
    this.#proposals.expire(nowMs)
    this.#reads.expire(nowMs)
    this.#waits.expire(nowMs)
    this.#transfers.expire(nowMs)
  }

  endAll(): void {
    this.#proposals.endAll()
    this.#reads.endAll()
    this.#waits.endAll()
    this.#transfers.endAll()
  }

  problem(code: ProblemCode): { readonly ok: false; readonly problem: ReplicaProblem } {
    return fail({ code, leader: this.#view.leader() })
  }

  #proposalEnded(end: ProposalEnd): Ended<Applied> {
    switch (end.kind) {
      case 'applied':
        return ok(end.applied)
      case 'refused':
        return this.problem(withoutLeadershipLost(end.code))
      case 'replaced':
        // Nothing of it is or will be in the log, as if it had been refused at once.
        return this.problem(this.#view.leader() === undefined ? 'leader_unknown' : 'not_leader')
      case 'unknown':
        return this.problem('outcome_unknown')
    }
  }

  #endRead(end: ReadEnd, waiter: Waiter): void {
    if (end.kind === 'late') return waiter.resolve(this.#late())
    if (end.kind === 'refused') return waiter.resolve(this.problem(withoutLeadershipLost(end.code)))
    // Confirmed is not enough: the reader must see what was committed then, so it waits until that is applied here (thesis §6.4).
    if (end.index <= this.#view.appliedIndex()) waiter.resolve(ok(end.index))
    else this.#waitFor(end.index, waiter)
  }

  #waitFor(index: number, { deadlineAtMs, resolve }: Waiter): void {
    this.#waits.add({ index, deadlineAtMs, end: (reached) => resolve(reached ? ok(index) : this.#late()) })
  }

  #late(): Ended<number> {
    return this.problem(this.#view.standingProblem() ?? 'deadline')
  }

  #deadline(options: { readonly timeoutMs: number }): number {
    return this.#view.nowMs() + options.timeoutMs
  }
}

/** To a caller, leadership that was lost before anything was appended is simply a node that does not lead. */
function withoutLeadershipLost(code: RefusalCode): ProblemCode {
  return code === 'leadership_lost' ? 'leader_unknown' : code
}
