// The loop around the core. Nothing is done where it arrives: proposals, messages, acknowledgements and time are queued, and one turn drains all of them into one
// step of the core. So the more arrives, the more shares one write to disk, one message to each follower and one transaction.
import { Raft, payloadBytesMax } from '../raft/raft.ts'
import type { Membership, MembershipChange, NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import type { Input, Output, RaftEvent, RaftLimits, RaftStatus, RefusalCode } from '../raft/raft-port.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Clock } from './clock.ts'
import type { LogStore } from './log-store.ts'
import { PendingProposals, type ProposalEnd } from './pending-proposals.ts'
import { PendingReads, type ReadEnd } from './pending-reads.ts'
import type { Replica, ReplicaProblem, Standing } from './replica-port.ts'
import type { Applied, StateMachine } from './state-machine.ts'
import { TickSource } from './tick-source.ts'
import type { Transport } from './transport.ts'
import { WaitingRoom } from './waiting-room.ts'

export interface ReplicaOptions {
  readonly id: NodeId
  readonly log: LogStore
  readonly stateMachine: StateMachine
  readonly transport: Transport
  readonly clock: Clock
  /** The members of a cluster that begins, the same on all of them; none for a node that joins. Used until the state machine knows better. */
  readonly bootstrap: Membership
  readonly tickMs: number
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** Drawn anew at each start of each node. */
  readonly seed: number
  readonly limits: RaftLimits
}

/** Callers in flight, each of whom holds a request; beyond it they are refused as `overloaded`. */
export const callersMax = 65_536
/** Messages waiting for a turn; Raft copes with the loss of what comes beyond it, memory would not cope with keeping it. */
export const messagesMax = 16_384
/** How long close() waits for what is in flight. */
export const closeGraceMs = 5_000

type ProblemCode = ReplicaProblem['code']
type Ended<Value> = Result<Value, ReplicaProblem>

export class ReplicaLoop implements Replica {
  readonly #options: ReplicaOptions
  readonly #core: Raft
  readonly #ticks: TickSource
  readonly #proposals = new PendingProposals()
  readonly #reads = new PendingReads()
  readonly #waitingRoom = new WaitingRoom()
  readonly #transfers = new Set<{ readonly deadlineAtMs: number; readonly end: (isDone: boolean) => void }>()
  readonly #listeners: ((event: RaftEvent) => void)[] = []
  #inputs: Input[] = []
  #messages = 0
  #isScheduled = false
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closed: Promise<void> | undefined
  #whenStopped: () => void = () => {}
  #lastId = 0
  #appliedIndex: number
  #leader: NodeId | undefined
  #leaderHeardAtMs: number
  #appendHeard: { readonly from: NodeId; readonly atMs: number } | undefined

  constructor(options: ReplicaOptions) {
    const { log, stateMachine, transport, clock } = options
    const membership = stateMachine.membership ?? options.bootstrap
    this.#options = options
    this.#appliedIndex = stateMachine.appliedIndex
    this.#leaderHeardAtMs = clock.monotonicMs()
    this.#core = new Raft({
      id: options.id,
      hardState: log.hardState,
      log: log.reader,
      membership,
      appliedIndex: stateMachine.appliedIndex,
      electionTicks: options.electionTicks,
      heartbeatTicks: options.heartbeatTicks,
      seed: options.seed,
      limits: options.limits,
    })
    log.onDurable((sequence) => this.#enqueue({ kind: 'durable', sequence }))
    stateMachine.onApplied((applied) => this.#applied(applied))
    transport.setMembership(membership)
    transport.listen({
      message: (from, message) => this.#message(from, message),
      unreachable: (id) => this.#enqueue({ kind: 'unreachable', id }),
      removed: () => {},
      rolledBack: () => this.#enqueue({ kind: 'distrusted' }),
    })
    this.#ticks = new TickSource({ clock, tickMs: options.tickMs, owedMax: options.electionTicks, onOwed: () => this.#schedule() })
  }

  propose(payload: Uint8Array, options: { readonly timeoutMs: number }): Promise<Ended<Applied>> {
    if (payload.length > payloadBytesMax) throw new RangeError(`a command of ${payload.length} bytes does not fit into an entry`)
    return this.#change((id) => ({ kind: 'propose', id, payload }), options)
  }

  changeMembership(change: MembershipChange, options: { readonly timeoutMs: number }): Promise<Ended<Applied>> {
    return this.#change((id) => ({ kind: 'change-membership', id, change }), options)
  }

  readBarrier(options: { readonly timeoutMs: number }): Promise<Ended<number>> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.resolve(this.#problem(refusal))
    const deadlineAtMs = this.#deadline(options)
    return new Promise((resolve) => {
      this.#reads.add({ deadlineAtMs, end: (end) => this.#endRead(end, { deadlineAtMs, resolve }) })
      this.#schedule()
    })
  }

  whenApplied(index: number, options: { readonly timeoutMs: number }): Promise<Ended<number>> {
    if (index <= this.#appliedIndex) return Promise.resolve(ok(index))
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.resolve(this.#problem(refusal))
    return new Promise((resolve) => this.#waitFor(index, { deadlineAtMs: this.#deadline(options), resolve }))
  }

  transferLeadership(options: { readonly to: NodeId | undefined; readonly timeoutMs: number }): Promise<Ended<void>> {
    const refusal = this.#refusal() ?? this.#transferRefusal(options.to)
    if (refusal !== undefined) return Promise.resolve(this.#problem(refusal))
    return new Promise((resolve) => {
      const end = (isDone: boolean): void => resolve(isDone ? ok(undefined) : this.#problem('deadline'))
      this.#transfers.add({ deadlineAtMs: this.#deadline(options), end })
      this.#enqueue({ kind: 'transfer', to: options.to })
    })
  }

  status(): RaftStatus {
    return this.#core.status()
  }

  standing(): Standing {
    return 'member'
  }

  leaderContactAgeMs(): number {
    return this.#leader === this.#options.id ? 0 : this.#options.clock.monotonicMs() - this.#leaderHeardAtMs
  }

  onEvent(listener: (event: RaftEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** Takes nothing new, lets what is in flight finish within a bound, then stops. The ports stay open: whoever made them closes them afterwards. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#state = 'closing'
      const stopWaiting = this.#options.clock.after(closeGraceMs, () => this.#stop())
      this.#whenStopped = () => {
        stopWaiting()
        resolve()
      }
      this.#schedule()
    })
    return this.#closed
  }

  #change(input: (id: number) => Input, options: { readonly timeoutMs: number }): Promise<Ended<Applied>> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.resolve(this.#problem(refusal))
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      this.#proposals.add(id, { deadlineAtMs: this.#deadline(options), end: (end) => resolve(this.#proposalEnded(end)) })
      this.#enqueue(input(id))
    })
  }

  #message(from: NodeId, message: Message): void {
    if (this.#messages >= messagesMax) return
    this.#messages += 1
    if (message.kind === 'append') this.#appendHeard = { from, atMs: this.#options.clock.monotonicMs() }
    this.#enqueue({ kind: 'message', from, message })
  }

  #applied(applied: readonly Applied[]): void {
    const last = applied.at(-1)
    if (last === undefined) return
    this.#appliedIndex = last.index
    this.#enqueue({ kind: 'applied', index: last.index })
    for (const one of applied) this.#proposals.applied(one)
    this.#waitingRoom.reached(last.index)
  }

  #enqueue(input: Input): void {
    if (this.#state === 'closed') return
    this.#inputs.push(input)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#state === 'closed') return
    this.#isScheduled = true
    this.#options.clock.soon(() => this.#turn())
  }

  #turn(): void {
    this.#isScheduled = false
    if (this.#state === 'closed') return
    this.#expire()
    const inputs = this.#drain()
    if (inputs.length > 0) this.#carryOut(this.#core.step(inputs))
    if (this.#state === 'closing' && this.#inFlight() === 0) this.#stop()
    else if (this.#ticks.owed > 0) this.#schedule()
  }

  #drain(): readonly Input[] {
    const inputs = this.#inputs
    this.#inputs = []
    this.#messages = 0
    this.#lastId += 1
    if (this.#reads.ask(this.#lastId)) inputs.push({ kind: 'read', id: this.#lastId })
    if (this.#ticks.take()) inputs.push({ kind: 'tick' })
    return inputs
  }

  // The write is started and the messages leave before the state machine works: only what is on disk counts, and the core sees to that.
  // Events come before the messages: a member must be known to the transport before it is written to.
  #carryOut(output: Output): void {
    if (output.persist !== undefined) this.#options.log.append(output.persist)
    for (const event of output.events) this.#event(event)
    if (output.send.length > 0) this.#options.transport.send(output.send)
    this.#noteLeaderContact()
    for (const proposed of output.proposed) this.#proposals.placed(proposed.id, proposed)
    for (const refused of output.refused) this.#refused(refused.id, refused.code)
    for (const read of output.reads) this.#reads.end(read.id, { kind: 'confirmed', index: read.index })
    if (output.committed.length > 0) this.#options.stateMachine.apply(output.committed)
  }

  #event(event: RaftEvent): void {
    if (event.kind === 'became-leader') this.#leader = this.#options.id
    if (event.kind === 'became-follower') this.#leader = event.leader
    if (event.kind === 'became-pre-candidate' || event.kind === 'became-candidate') this.#leader = undefined
    if (event.kind === 'membership-changed') this.#options.transport.setMembership(event.membership)
    if (event.kind === 'became-follower' && event.leader !== undefined) this.#endTransfers(() => true, true)
    for (const listener of this.#listeners) listener(event)
  }

  #noteLeaderContact(): void {
    if (this.#appendHeard !== undefined && this.#appendHeard.from === this.#leader) this.#leaderHeardAtMs = this.#appendHeard.atMs
    this.#appendHeard = undefined
  }

  #refused(id: number, code: RefusalCode): void {
    this.#reads.end(id, { kind: 'refused', code })
    this.#proposals.refused(id, code)
  }

  #proposalEnded(end: ProposalEnd): Ended<Applied> {
    switch (end.kind) {
      case 'applied':
        return ok(end.applied)
      case 'refused':
        return this.#problem(withoutLeadershipLost(end.code))
      case 'replaced':
        // Nothing of it is or will be in the log, as if it had been refused at once.
        return this.#problem(this.#leader === undefined ? 'leader_unknown' : 'not_leader')
      case 'unknown':
        return this.#problem('outcome_unknown')
    }
  }

  #endRead(end: ReadEnd, read: { readonly deadlineAtMs: number; readonly resolve: (ended: Ended<number>) => void }): void {
    if (end.kind === 'late') return read.resolve(this.#problem('deadline'))
    if (end.kind === 'refused') return read.resolve(this.#problem(withoutLeadershipLost(end.code)))
    // Confirmed is not enough: the reader must see what was committed then, so it waits until that is applied here (thesis §6.4).
    if (end.index <= this.#appliedIndex) read.resolve(ok(end.index))
    else this.#waitFor(end.index, read)
  }

  #waitFor(index: number, waiter: { readonly deadlineAtMs: number; readonly resolve: (ended: Ended<number>) => void }): void {
    const end = (reached: boolean): void => waiter.resolve(reached ? ok(index) : this.#problem('deadline'))
    this.#waitingRoom.add({ index, deadlineAtMs: waiter.deadlineAtMs, end })
  }

  #expire(): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#proposals.expire(nowMs)
    this.#reads.expire(nowMs)
    this.#waitingRoom.expire(nowMs)
    this.#endTransfers((transfer) => transfer.deadlineAtMs <= nowMs, false)
  }

  #endTransfers(which: (transfer: { readonly deadlineAtMs: number }) => boolean, isDone: boolean): void {
    for (const transfer of this.#transfers) {
      if (!which(transfer)) continue
      this.#transfers.delete(transfer)
      transfer.end(isDone)
    }
  }

  #refusal(): ProblemCode | undefined {
    if (this.#state !== 'open') return 'closing'
    return this.#inFlight() >= callersMax ? 'overloaded' : undefined
  }

  #transferRefusal(to: NodeId | undefined): ProblemCode | undefined {
    const { id, role, leader, membership } = this.#core.status()
    if (role !== 'leader') return leader === undefined ? 'leader_unknown' : 'not_leader'
    const isPossible = membership.members.some(
      (member) => member.suffrage === 'voter' && member.id !== id && (to === undefined || member.id === to),
    )
    return isPossible ? undefined : 'membership_change_invalid'
  }

  #problem(code: ProblemCode): { readonly ok: false; readonly problem: ReplicaProblem } {
    return fail({ code, leader: this.#leader })
  }

  #deadline(options: { readonly timeoutMs: number }): number {
    return this.#options.clock.monotonicMs() + options.timeoutMs
  }

  #inFlight(): number {
    return this.#proposals.count + this.#reads.count + this.#waitingRoom.count + this.#transfers.size
  }

  #stop(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#ticks.close()
    this.#proposals.endAll()
    this.#reads.endAll()
    this.#waitingRoom.endAll()
    this.#endTransfers(() => true, false)
    this.#whenStopped()
  }
}

/** To a caller, leadership that was lost before anything was appended is simply a node that does not lead. */
function withoutLeadershipLost(code: RefusalCode): ProblemCode {
  return code === 'leadership_lost' ? 'leader_unknown' : code
}
