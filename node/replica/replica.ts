// The loop around the core. Nothing is done where it arrives: proposals, messages, acknowledgements and time are queued, and one turn drains all of them into one
// step of the core. So the more arrives, the more shares one write to disk, one message to each follower and one transaction.
import assert from 'node:assert/strict'
import { Raft, payloadBytesMax } from '../raft/raft.ts'
import type { MembershipChange, NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import type { Input, Output, Persist, RaftEvent, RaftStatus, SnapshotPoint } from '../raft/raft-port.ts'
import { ok } from '../../runtime/result.ts'
import { Callers, type Ended, type ProblemCode } from './callers.ts'
import { Compaction, neededAfterIndex } from './compaction.ts'
import { LeaderContact } from './leader-contact.ts'
import { Listeners } from './listeners.ts'
import type { LoopEvent } from './loop-event.ts'
import type { ProposalInput } from './pending-proposals.ts'
import { transferRefusal } from './pending-transfers.ts'
import type { ReplicaOptions } from './replica-options.ts'
import type { ProposeOptions, Replica, Standing } from './replica-port.ts'
import { SnapshotFetch } from './snapshot-fetch.ts'
import { OwnStanding } from './standing.ts'
import type { Applied, Divergence } from './state-machine.ts'
import { StateHashSchedule } from './state-hash-schedule.ts'
import { TickSource } from './tick-source.ts'

/** Callers in flight, each of whom holds a request; beyond it they are refused as `overloaded`. */
export const callersMax = 65_536
/** Messages waiting for a turn; Raft copes with the loss of what comes beyond it, memory would not cope with keeping it. */
export const messagesMax = 16_384
/** How long close() waits for what is in flight. */
export const closeGraceMs = 1_500

export class ReplicaLoop implements Replica {
  readonly #options: ReplicaOptions
  readonly #core: Raft
  readonly #ticks: TickSource
  readonly #callers: Callers
  readonly #contact: LeaderContact
  readonly #standing: OwnStanding
  readonly #stateHashes: StateHashSchedule
  readonly #fetch: SnapshotFetch
  readonly #compaction: Compaction
  readonly #listeners: ((event: RaftEvent) => void)[] = []
  readonly #loopListeners = new Listeners<LoopEvent>()
  #inputs: Input[] = []
  #messages = 0
  #isScheduled = false
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closed: Promise<void> | undefined
  #whenStopped: () => void = () => {}
  #lastId = 0
  #appliedIndex: number
  // The last entry that was given to the state machine; equal to #appliedIndex while it has nothing under way.
  #handedOutIndex: number
  #leader: NodeId | undefined
  /** The newest term in which this node was elected. */
  #ledTerm = 0
  #toldStanding: Standing
  // The write after which the snapshot store is told that the log has followed the installed snapshot.
  #installedWith: number | undefined

  constructor(options: ReplicaOptions) {
    const { log, stateMachine, transport, clock } = options
    const membership = stateMachine.membership ?? options.bootstrap
    this.#options = options
    this.#appliedIndex = stateMachine.appliedIndex
    this.#handedOutIndex = stateMachine.appliedIndex
    this.#contact = new LeaderContact(clock.monotonicMs())
    this.#callers = new Callers(
      {
        nowMs: () => clock.monotonicMs(),
        leader: () => this.#leader,
        appliedIndex: () => this.#appliedIndex,
        standingProblem: () => this.#standing.problem,
      },
      { heldBytesMax: options.limits.uncommittedBytesMax },
    )
    this.#standing = new OwnStanding(options.id, { membership, founders: options.bootstrap })
    this.#toldStanding = this.standing()
    this.#stateHashes = new StateHashSchedule({ everyEntries: options.stateHashEveryEntries, appliedIndex: stateMachine.appliedIndex })
    this.#core = new Raft({
      ...options,
      hardState: log.hardState,
      log: log.reader,
      membership,
      appliedIndex: stateMachine.appliedIndex,
      trust: options.trust.trust,
    })
    const report = (event: LoopEvent): void => this.#report(event)
    const onStaged = (): void => this.#schedule()
    this.#fetch = new SnapshotFetch({ source: options.snapshotSource, snapshots: options.snapshots, clock, onStaged, report })
    this.#compaction = new Compaction({
      ...options,
      neededAfterIndex: () => this.#neededAfterIndex(),
      report,
      onEnded: () => this.#schedule(),
    })
    log.onDurable((sequence) => this.#durable(sequence))
    stateMachine.onApplied((applied) => this.#applied(applied))
    stateMachine.onDiverged((divergence) => this.#diverged(divergence))
    transport.setMembership(membership)
    transport.listen({
      message: (from, message) => this.#message(from, message),
      unreachable: (id) => this.#enqueue({ kind: 'unreachable', id }),
      removed: () => this.#toldRemoved(),
      rolledBack: () => this.#enqueue({ kind: 'distrusted' }),
    })
    this.#ticks = new TickSource({ clock, tickMs: options.tickMs, owedMax: options.electionTicks, onOwed: () => this.#schedule() })
  }

  /** `state-hash`: what changes no data, and is understood by the state machine alone. */
  propose(payload: Uint8Array, options: ProposeOptions & { readonly entryKind?: 'state-hash' }): Promise<Ended<Applied>> {
    if (payload.length > payloadBytesMax) throw new RangeError(`a command of ${payload.length} bytes does not fit into an entry`)
    const { behind, entryKind = 'command' } = options
    return this.#change((id) => ({ kind: 'propose', id, payload, entryKind, ...(behind === undefined ? {} : { behind }) }), options)
  }

  changeMembership(change: MembershipChange, options: { readonly timeoutMs: number }): Promise<Ended<Applied>> {
    return this.#change((id) => ({ kind: 'change-membership', id, change }), options)
  }

  readBarrier(options: { readonly timeoutMs: number }): Promise<Ended<number>> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#schedule()
    return this.#callers.read(options)
  }

  whenApplied(index: number, options: { readonly timeoutMs: number }): Promise<Ended<number>> {
    if (index <= this.#appliedIndex && this.standing() === 'member') return Promise.resolve(ok(index))
    const refusal = this.#refusal()
    return refusal === undefined ? this.#callers.wait(index, options) : this.#refuse(refusal)
  }

  transferLeadership(options: { readonly to: NodeId | undefined; readonly timeoutMs: number }): Promise<Ended<void>> {
    const refusal = this.#refusal() ?? transferRefusal(this.#core.status(), options.to)
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#enqueue({ kind: 'transfer', to: options.to })
    return this.#callers.transfer(options)
  }

  /**
   * Makes what is applied durable and gives up the log before it, but for so many entries (undefined: as many as by itself), now rather than when it would be worth it.
   * Within the limit of the log's size, what a follower still needs stays.
   */
  compact(options: {
    readonly trailingEntries: number | undefined
    readonly timeoutMs: number
  }): Promise<Ended<'compacted' | 'nothing-new'>> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return this.#refuse(refusal)
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(options.timeoutMs, () => resolve(this.#callers.problem('deadline')))
      void this.#compaction.now(options).then((isCompacted) => {
        cancel()
        resolve(ok(isCompacted ? 'compacted' : 'nothing-new'))
      })
    })
  }

  status(): RaftStatus {
    return this.#core.status()
  }

  leads(): boolean {
    return this.#leader === this.#options.id
  }

  standing(): Standing {
    return this.#standing.current
  }

  /** Where the log begins, and what it occupies on disk. */
  logFacts(): { readonly baseIndex: number; readonly bytes: number } {
    const { log } = this.#options
    return { baseIndex: log.reader.base.index, bytes: log.bytes() }
  }

  leaderContactAgeMs(): number {
    return this.leads() ? 0 : this.#contact.ageMs(this.#options.clock.monotonicMs())
  }

  onEvent(listener: (event: RaftEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** What the loop does by itself: snapshots, compaction, standing. */
  onLoopEvent(listener: (event: LoopEvent) => void): void {
    this.#loopListeners.listen(listener)
  }

  /** Takes nothing new, lets what is in flight finish within a bound, then stops. The ports stay open: whoever made them closes them afterwards. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#state = 'closing'
      this.#fetch.close()
      this.#compaction.close()
      const stopWaiting = this.#options.clock.after(closeGraceMs, () => this.#stop())
      this.#whenStopped = () => {
        stopWaiting()
        resolve()
      }
      this.#schedule()
    })
    return this.#closed
  }

  #change(input: (id: number) => ProposalInput, options: ProposeOptions): Promise<Ended<Applied>> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#lastId += 1
    const proposal = input(this.#lastId)
    this.#enqueue(proposal)
    return this.#callers.propose(proposal, options)
  }

  #message(from: NodeId, message: Message): void {
    if (this.#messages >= messagesMax) return
    this.#messages += 1
    this.#contact.heard(from, message, this.#options.clock.monotonicMs())
    this.#enqueue({ kind: 'message', from, message })
  }

  #toldRemoved(): void {
    this.#changeStanding(() => this.#standing.toldRemoved())
    this.#enqueue({ kind: 'removed' })
  }

  #durable(sequence: number): void {
    if (this.#installedWith !== undefined && sequence >= this.#installedWith) this.#logFollowed()
    this.#enqueue({ kind: 'durable', sequence })
  }

  #applied(applied: readonly Applied[]): void {
    const last = applied.at(-1)
    if (last === undefined) return
    this.#appliedIndex = last.index
    this.#enqueue({ kind: 'applied', index: last.index })
    this.#callers.applied(applied)
  }

  #diverged(divergence: Divergence): void {
    this.#report({ kind: 'diverged', divergence })
    this.#changeStanding(() => this.#standing.diverged())
    this.#enqueue({ kind: 'state-lost' })
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
    this.#callers.expire()
    const inputs = this.#drain()
    if (inputs.length > 0) this.#carryOut(this.#core.step(inputs))
    this.#proposeStateHash()
    if (this.#state === 'closing' && this.#callers.count === 0 && !this.#compaction.isBusy) this.#stop()
    else if (this.#ticks.owed > 0) this.#schedule()
  }

  #drain(): readonly Input[] {
    const isTick = this.#ticks.take()
    // A transfer that came to nothing leaves this node the leader, and what was held is for it.
    if (isTick && this.leads()) this.#releaseHeld()
    const inputs = this.#inputs
    this.#inputs = []
    this.#messages = 0
    this.#lastId += 1
    if (this.#callers.askReads(this.#lastId)) inputs.push({ kind: 'read', id: this.#lastId })
    // A removed node's too: who does not know of the removal may need its vote, and it has one only when it has missed its leader.
    if (isTick) inputs.push({ kind: 'tick' })
    const { staged } = this.#fetch
    if (staged !== undefined && this.#isIdle() && !this.#core.isWriting(staged.index)) {
      inputs.push({ kind: 'snapshot-staged', point: staged })
      this.#fetch.taken()
    }
    return inputs
  }

  // The write is started and the messages leave before the state machine works: only what is on disk counts, and the core sees to that.
  // Events come before the messages: a member must be known to the transport before it is written to, and a loss of trust must be durable before anything is said.
  #carryOut(output: Output): void {
    if (output.install !== undefined) this.#install(output.install, output.persist)
    if (output.persist !== undefined) this.#options.log.append(output.persist)
    for (const event of output.events) this.#event(event)
    if (output.send.length > 0) this.#options.transport.send(output.send)
    this.#contact.settle(this.#leader)
    this.#callers.answered(output)
    if (output.committed.length > 0) this.#apply(output.committed)
    if (output.fetchSnapshot !== undefined) this.#fetch.want(output.fetchSnapshot)
  }

  #apply(entries: Output['committed']): void {
    this.#handedOutIndex = entries.at(-1)?.index ?? this.#handedOutIndex
    this.#stateHashes.committed(entries)
    this.#options.stateMachine.apply(entries)
  }

  /** Before the log is written to follow it, so that a crash in between finds a database ahead of the log, which can be mended, and never a log without its beginning. */
  #install(point: SnapshotPoint, persist: Persist | undefined): void {
    assert(this.#isIdle(), 'a snapshot is installed while the state machine has nothing under way')
    this.#options.snapshots.install(point, { reset: persist?.reset !== undefined })
    this.#installedWith = persist?.sequence
    if (persist === undefined) this.#logFollowed()
    this.#appliedIndex = point.index
    this.#handedOutIndex = point.index
    this.#stateHashes.replaced(point.index)
    this.#report({ kind: 'snapshot-installed', index: point.index, term: point.term })
    this.#changeStanding(() => this.#standing.replaced())
    this.#callers.replaced()
  }

  #logFollowed(): void {
    this.#installedWith = undefined
    this.#options.snapshots.installed()
  }

  #isIdle(): boolean {
    // A state machine that diverged has dropped what it was given.
    const isApplying = this.#handedOutIndex > this.#appliedIndex && !this.#standing.isDiverged
    return !isApplying && !this.#compaction.isBusy
  }

  #event(event: RaftEvent): void {
    if (event.kind === 'became-leader') [this.#leader, this.#ledTerm] = [this.#options.id, event.term]
    if (event.kind === 'became-follower') this.#leader = event.leader
    if (event.kind === 'became-pre-candidate' || event.kind === 'became-candidate') this.#leader = undefined
    if (event.kind === 'trust-changed') this.#options.trust.setTrust(event.trust)
    if (event.kind === 'membership-changed') {
      this.#options.transport.setMembership(event.membership)
      this.#compaction.keepMembership()
      this.#changeStanding(() => this.#standing.membershipChanged(event.membership))
    }
    if (event.kind === 'became-follower' && event.leader !== undefined) {
      this.#callers.led()
      this.#releaseHeld()
    }
    for (const listener of this.#listeners) listener(event)
  }

  #changeStanding(change: () => void): void {
    change()
    const standing = this.standing()
    if (standing === this.#toldStanding) return
    this.#toldStanding = standing
    this.#report({ kind: 'standing-changed', standing })
    if (standing !== 'member') this.#callers.endAll()
  }

  #report(event: LoopEvent): void {
    this.#loopListeners.tell(event)
  }

  #releaseHeld(): void {
    for (const input of this.#callers.release()) this.#enqueue(input)
  }

  #proposeStateHash(): void {
    const { stateMachine } = this.#options
    // Not before everything that earlier leaders compared has been: one that is found out by theirs must not have told all others to differ from it.
    if (this.#state !== 'open' || !this.leads() || stateMachine.appliedTerm !== this.#ledTerm) return
    const payload = this.#stateHashes.isDue(this.#appliedIndex) ? stateMachine.stateHash() : undefined
    if (payload === undefined) return
    this.#lastId += 1
    this.#enqueue({ kind: 'propose', id: this.#lastId, payload, entryKind: 'state-hash' })
  }

  #refusal(): ProblemCode | undefined {
    if (this.#state !== 'open') return 'closing'
    return this.#standing.problem ?? (this.#callers.count >= callersMax ? 'overloaded' : undefined)
  }

  #refuse(code: ProblemCode): Promise<ReturnType<Callers['problem']>> {
    return Promise.resolve(this.#callers.problem(code))
  }

  #neededAfterIndex(): number {
    const { base } = this.#options.log.reader
    // Whose state is in doubt lets nothing go: what it holds may be needed to find out.
    return this.standing() === 'member' ? neededAfterIndex(this.#core.status(), base.index) : base.index
  }

  #stop(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#ticks.close()
    this.#fetch.close()
    this.#callers.endAll()
    this.#whenStopped()
  }
}
