// The consensus core: dispatches each input to the duty that it concerns, then settles what all inputs of the step brought together, once.
import assert from 'node:assert/strict'
import { refuseOld, takeAppend } from './append-entries.ts'
import { commitByCounting, handOutCommitted, newApplying } from './commit.ts'
import {
  campaign,
  forgetLeader,
  isLoyal,
  preCampaign,
  standIfAsked,
  takePreVote,
  takePreVoteReply,
  takeTimeoutNow,
  takeVote,
  takeVoteReply,
} from './election.ts'
import { entryBytesMax, entryHeaderBytes } from './entry.ts'
import { ForwardedReads } from './forwarded-reads.ts'
import { settleDeparture, tickDeparture } from './departure.ts'
import { giveAway, settleTransfer, takeTransfer, tickTransfer } from './leader-transfer.ts'
import { RaftLog } from './log.ts'
import { MembershipLog } from './membership-log.ts'
import { promoteLearners, takeChange, takeEffect, tellEpoch } from './membership-change.ts'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { Outbox } from './outbox.ts'
import type { HardState, Input, Output, RaftCore, RaftOptions, RaftStatus } from './raft-port.ts'
import { isMember, isVoter, leaderOf, send, votersOf, type RaftState } from './raft-state.ts'
import { settleReads, takeRead, takeReadIndex, takeReadIndexReply } from './read-index.ts'
import { hasQuorumContact, isActive } from './quorum-contact.ts'
import { appendOwn, hasRoom, replicate, takeAppendReply } from './replication.ts'
import { seededRandom } from './seeded-random.ts'
import { loseState, settleWanted, takeInstallSnapshot, takeStaged } from './snapshots.ts'
import { becomeFollower, resetElectionTimer } from './transitions.ts'
import { loseTrust, newDoubt, settleDoubt, takeConfirmation, takeDistrust } from './doubt.ts'

/** The longest command that fits into one entry. */
export const payloadBytesMax = entryBytesMax - entryHeaderBytes

export class Raft implements RaftCore {
  readonly #state: RaftState
  /** Made when it is asked for; only steps change it. */
  #status: RaftStatus | undefined

  constructor(options: RaftOptions) {
    this.#state = initialState(options)
    resetElectionTimer(this.#state)
    // Nobody else could lead, so there is nobody to wait for.
    if (isVoter(this.#state) && this.#state.voters.size === 1) this.#state.electionElapsed = this.#state.electionTimeout
  }

  step(inputs: readonly Input[]): Output {
    this.#status = undefined
    for (const input of inputs) take(this.#state, input)
    settle(this.#state)
    return this.#state.out.take({ term: this.#state.term, votedFor: this.#state.votedFor })
  }

  isWriting(index: number): boolean {
    return this.#state.log.isWriting(index)
  }

  status(): RaftStatus {
    return (this.#status ??= statusOf(this.#state))
  }
}

function statusOf(state: RaftState): RaftStatus {
  const { role, log } = state
  const followers = role.kind === 'leader' ? Array.from(role.followers) : []
  return {
    id: state.id,
    term: state.term,
    votedFor: state.votedFor,
    role: role.kind === 'follower' && !isVoter(state) ? 'learner' : role.kind,
    leader: leaderOf(state),
    commitIndex: state.commitIndex,
    appliedIndex: state.appliedIndex,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    membership: state.membership,
    trust: state.doubt === undefined ? 'trusted' : 'untrusted',
    followers: followers.map(([id, progress]) => ({
      id,
      matchIndex: progress.matchIndex,
      nextIndex: progress.nextIndex,
      state: progress.flow.kind,
      active: isActive(state, progress),
    })),
  }
}

function initialState(options: RaftOptions): RaftState {
  assert(
    options.heartbeatTicks >= 1 && options.electionTicks > options.heartbeatTicks,
    'Raft §5.6: heartbeats are more frequent than election timeouts',
  )
  const { leaseTicks = options.electionTicks } = options
  assert(
    leaseTicks > options.heartbeatTicks && leaseTicks <= options.electionTicks,
    'a leader hears of its followers within a lease, which no election outlives',
  )
  const log = new RaftLog(options.log)
  const { appliedIndex } = options
  assert(
    appliedIndex >= log.base.index && appliedIndex <= log.lastIndex,
    `applied ${appliedIndex} is not in the log ${log.base.index}..${log.lastIndex}`,
  )
  const { hardState, isRaised } = startingHardState(options.hardState, log)
  const out = new Outbox(log)
  if (isRaised) out.hardStateChanged()
  const random = seededRandom(options.seed)
  const membershipLog = new MembershipLog(log, appliedIndex)
  return {
    id: options.id,
    electionTicks: options.electionTicks,
    heartbeatTicks: options.heartbeatTicks,
    leaseTicks,
    limits: options.limits,
    random,
    log,
    out,
    membershipLog,
    forwardedReads: new ForwardedReads({ out, ticksMax: options.electionTicks, firstRequest: 1 + random(2 ** 31) * 2 ** 20 }),
    term: hardState.term,
    votedFor: hardState.votedFor,
    role: { kind: 'follower', leader: undefined },
    membership: options.membership,
    voters: votersOf(options.membership),
    commitIndex: Math.max(appliedIndex, membershipLog.certainlyCommitted),
    handedOutIndex: appliedIndex,
    appliedIndex,
    applying: newApplying(),
    now: 0,
    electionElapsed: 0,
    electionTimeout: options.electionTicks,
    doubt: options.trust === 'untrusted' ? newDoubt(0) : undefined,
    wanted: undefined,
    isStateLost: false,
    isToldRemoved: false,
    standWhenApplied: undefined,
    readSequence: 0,
  }
}

/**
 * A term is written no later than the entries of it. Only a log that a snapshot has begun anew can be ahead: the snapshot is in place before the term under way is on disk.
 * Had this node voted in that term, its vote would be on disk, so it has its vote.
 */
function startingHardState(onDisk: HardState, log: RaftLog): { readonly hardState: HardState; readonly isRaised: boolean } {
  if (onDisk.term >= log.lastTerm) return { hardState: onDisk, isRaised: false }
  assert(log.lastIndex === log.base.index, 'the term on disk is older than the log')
  return { hardState: { term: log.lastTerm, votedFor: undefined }, isRaised: true }
}

function take(state: RaftState, input: Input): void {
  switch (input.kind) {
    case 'tick':
      return tick(state)
    case 'message':
      return takeMessage(state, input.from, input.message)
    case 'propose':
      return propose(state, input)
    case 'change-membership':
      if (state.role.kind === 'leader') return takeChange(state, state.role, input)
      return state.out.refuse(input.id, notLeader(state))
    case 'read':
      return takeRead(state, input.id)
    case 'durable':
      return durable(state, input.sequence)
    case 'applied':
      return applied(state, input.index)
    case 'unreachable':
      if (state.role.kind === 'leader') return state.role.followers.get(input.id)?.unreachable()
      return forgetLeader(state, input.id)
    case 'transfer':
      return takeTransfer(state, input.to)
    case 'snapshot-staged':
      return takeStaged(state, input.point)
    case 'state-lost':
      return loseState(state)
    case 'distrusted':
      return loseTrust(state)
    case 'removed':
      state.isToldRemoved = true
      return
  }
}

function tick(state: RaftState): void {
  state.now += 1
  const { role } = state
  if (role.kind !== 'leader') {
    state.forwardedReads.expire(state.now)
    state.electionElapsed += 1
    if (state.electionElapsed >= state.electionTimeout) preCampaign(state)
    return
  }
  role.ticksSinceHeartbeat += 1
  role.newsTicks += 1
  if (role.ticksSinceHeartbeat >= state.heartbeatTicks) {
    role.ticksSinceHeartbeat = 0
    role.heartbeatDue = true
  }
  tickTransfer(state, role)
  tickDeparture(role)
  // A leader without a majority cannot commit, and its clients should find the one that can (thesis §6.2).
  if (!hasQuorumContact(state, role)) becomeFollower(state, { term: state.term, leader: undefined, why: 'quorum-lost' })
}

function propose(state: RaftState, input: Extract<Input, { kind: 'propose' }>): void {
  assert(input.payload.length <= payloadBytesMax, 'a command longer than an entry can be must not come here')
  const { role, out } = state
  if (role.kind !== 'leader') return out.refuse(input.id, notLeader(state))
  if (role.transfer !== undefined) return out.refuse(input.id, 'transfer_in_progress')
  // Same index and term: the whole log before it is the same (Raft §5.3, log matching).
  const { log } = state
  if (input.behind !== undefined && (input.behind.index !== log.lastIndex || input.behind.term !== log.lastTerm))
    return out.refuse(input.id, 'log_moved_on')
  if (!hasRoom(state, role, input.payload.length)) return out.refuse(input.id, 'overloaded')
  out.proposed(input.id, appendOwn(state, role, { kind: input.entryKind ?? 'command', payload: input.payload }))
}

function durable(state: RaftState, sequence: number): void {
  state.log.durable(sequence)
  for (const promised of state.out.durable(sequence)) {
    if (promised.term !== state.term) continue
    if (promised.kind === 'send') send(state, promised.parcel.to, promised.parcel.message)
    else campaign(state)
  }
  if (state.role.kind === 'leader') state.role.commitMayMove = true
}

function applied(state: RaftState, index: number): void {
  assert(index >= state.appliedIndex && index <= state.handedOutIndex, 'the state machine applies what it was given, in order')
  state.appliedIndex = index
  state.applying.freeTo(index)
  takeEffect(state, index)
}

function settle(state: RaftState): void {
  const { role } = state
  if (role.kind === 'leader') {
    commitByCounting(state, role)
    const readRound = settleReads(state, role)
    tellEpoch(state, role)
    promoteLearners(state, role)
    replicate(state, role, { readRound })
    if (state.isStateLost) giveAway(state, role)
    settleTransfer(state, role)
    settleDeparture(state, role)
  } else {
    standIfAsked(state)
    const leader = leaderOf(state)
    if (leader !== undefined)
      state.forwardedReads.flush(state.now, (id) => send(state, leader, { kind: 'read-index', term: state.term, id, afterLoss: false }))
  }
  settleDoubt(state)
  settleWanted(state)
  handOutCommitted(state)
}

function notLeader(state: RaftState): 'not_leader' | 'leader_unknown' {
  return leaderOf(state) === undefined ? 'leader_unknown' : 'not_leader'
}

function takeMessage(state: RaftState, from: NodeId, message: Message): void {
  // Answers are only expected from members. Requests are heard from anyone whom the transport has let in: their sender may be a member by an entry that this
  // node has not applied yet, and a cluster in which such a node does not vote or follow could stop for ever.
  if (from === state.id || (isAnswer(message) && !isMember(state, from))) return
  if (message.term > state.term && !enterHigherTerm(state, from, message)) return
  if (message.term < state.term) answerOldTerm(state, from, message)
  else dispatch(state, from, message)
}

/** Raft §5.1: a higher term makes a follower of everyone. False: the message is to be ignored. */
function enterHigherTerm(state: RaftState, from: NodeId, message: Message): boolean {
  switch (message.kind) {
    case 'pre-vote':
      return true
    case 'pre-vote-reply':
      if (!message.granted) becomeFollower(state, { term: message.term, leader: undefined })
      return true
    case 'vote':
      if (!message.transfer && isLoyal(state, from)) return false
      becomeFollower(state, { term: message.term, leader: undefined })
      return true
    case 'append':
    case 'install-snapshot':
      becomeFollower(state, { term: message.term, leader: from })
      return true
    case 'vote-reply':
    case 'append-reply':
    case 'read-index':
    case 'read-index-reply':
    case 'timeout-now':
    case 'distrust':
      becomeFollower(state, { term: message.term, leader: undefined })
      return true
  }
}

/** Raft §5.1: a request with a stale term is refused, and the refusal tells the newer term; stale answers are dropped. */
function answerOldTerm(state: RaftState, from: NodeId, message: Message): void {
  switch (message.kind) {
    case 'pre-vote':
      return takePreVote(state, from, message)
    case 'vote':
      return send(state, from, { kind: 'vote-reply', term: state.term, granted: false })
    case 'append':
    case 'install-snapshot':
      return refuseOld(state, from, message)
    case 'read-index':
      return takeReadIndex(state, from, message)
    case 'pre-vote-reply':
    case 'vote-reply':
    case 'append-reply':
    case 'read-index-reply':
    case 'timeout-now':
    case 'distrust':
      return
  }
}

function dispatch(state: RaftState, from: NodeId, message: Message): void {
  switch (message.kind) {
    case 'pre-vote':
      return takePreVote(state, from, message)
    case 'pre-vote-reply':
      return takePreVoteReply(state, from, message)
    case 'vote':
      return takeVote(state, from, message)
    case 'vote-reply':
      return takeVoteReply(state, from, message)
    case 'append':
      return takeAppend(state, from, message)
    case 'append-reply':
      return takeAppendReply(state, from, message)
    case 'read-index':
      return takeReadIndex(state, from, message)
    case 'read-index-reply':
      return takeConfirmation(state, from, message) ? undefined : takeReadIndexReply(state, from, message)
    case 'timeout-now':
      return takeTimeoutNow(state, from)
    case 'install-snapshot':
      return takeInstallSnapshot(state, from, message)
    case 'distrust':
      return takeDistrust(state, from)
  }
}

function isAnswer(message: Message): boolean {
  return message.kind.endsWith('-reply')
}
