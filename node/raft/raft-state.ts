// Everything a core knows, in one place; the duties (election, replication, reads, membership) are functions over it, and raft.ts alone calls them.
import assert from 'node:assert/strict'
import type { Inflights } from './inflights.ts'
import type { RaftLog } from './log.ts'
import type { Membership, NodeId } from './membership.ts'
import type { Message } from './message.ts'
import type { Outbox } from './outbox.ts'
import type { RaftLimits } from './raft-port.ts'
import type { ForwardedReads } from './forwarded-reads.ts'
import type { MembershipLog } from './membership-log.ts'
import type { FollowerRole, LeaderRole, Role } from './role.ts'
import type { Doubt } from './doubt.ts'

export interface RaftState {
  readonly id: NodeId
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly leaseTicks: number
  readonly limits: RaftLimits
  readonly random: (limit: number) => number
  readonly log: RaftLog
  readonly out: Outbox
  readonly membershipLog: MembershipLog
  readonly forwardedReads: ForwardedReads
  term: number
  votedFor: NodeId | undefined
  role: Role
  /** In effect, that is: applied. */
  membership: Membership
  voters: ReadonlySet<NodeId>
  commitIndex: number
  /** Entries up to here have been given out as committed. */
  handedOutIndex: number
  appliedIndex: number
  /** Batches given out as committed and not yet applied. */
  readonly applying: Inflights
  /** Ticks since the start. */
  now: number
  /** Ticks since the leader was last heard, a vote was given or a campaign began. */
  electionElapsed: number
  /** Drawn anew from [electionTicks, 2 * electionTicks) with each change of role (Raft §5.2). */
  electionTimeout: number
  /** Undefined: this node's disk is trusted. */
  doubt: Doubt | undefined
  /** What the leader of `term` no longer has in its log, and this node needs. */
  wanted: { readonly term: number; readonly indexMin: number } | undefined
  /** The state machine is not the cluster's: only a snapshot of the leader can mend it. */
  isStateLost: boolean
  /** A member has said that this node is removed, and no membership that has it has taken effect since. */
  isToldRemoved: boolean
  /** Asked to stand for election in `term` while a committed change of membership waited for the state machine: it stands as soon as that is applied. */
  standWhenApplied: { readonly term: number; readonly untilTick: number } | undefined
  /** Newest read position; grows over the whole life, so an old confirmation can never name a newer read. */
  readSequence: number
}

export function leaderOf(state: RaftState): NodeId | undefined {
  if (state.role.kind === 'leader') return state.id
  return state.role.kind === 'follower' ? state.role.leader : undefined
}

export function isVoter(state: RaftState): boolean {
  return state.voters.has(state.id)
}

export function isMember(state: RaftState, id: NodeId): boolean {
  return state.membership.members.some((member) => member.id === id)
}

export function votersOf(membership: Membership): ReadonlySet<NodeId> {
  return new Set(membership.members.filter((member) => member.suffrage === 'voter').map((member) => member.id))
}

/** Whether a candidate's log is at least as up to date as this node's: the last terms decide, and only when they are equal the lengths (Raft §5.4.1). */
export function isUpToDate(log: RaftLog, candidate: { readonly lastLogTerm: number; readonly lastLogIndex: number }): boolean {
  if (candidate.lastLogTerm !== log.lastTerm) return candidate.lastLogTerm > log.lastTerm
  return candidate.lastLogIndex >= log.lastIndex
}

/** A leader must have committed an entry of its own term before its commit index says anything about now (Raft §8) and before it changes membership. */
export function hasCommittedInTerm(state: RaftState, leader: LeaderRole): boolean {
  return state.commitIndex >= leader.firstIndex
}

/** Every message speaks for the role that this node has now, so it carries this term; only a pre-vote speaks of the next one. */
export function send(state: RaftState, to: NodeId, message: Message): void {
  assert(to !== state.id, 'a node does not write to itself')
  assert(message.term === state.term || isOfNextTerm(message), `a ${message.kind} of term ${message.term} in term ${state.term}`)
  state.out.send(to, message)
}

function isOfNextTerm(message: Message): boolean {
  return message.kind === 'pre-vote' || (message.kind === 'pre-vote-reply' && message.granted)
}

/** Leaves when the newest term and vote and the log up to `logIndex` are on disk, and only if the term is still this one. */
export function sendWhenDurable(state: RaftState, to: NodeId, held: { readonly message: Message; readonly logIndex: number }): void {
  assert(held.message.term === state.term, 'a promise speaks of the present term')
  state.out.promise({ kind: 'send', term: state.term, logIndex: held.logIndex, parcel: { to, message: held.message } })
}

export function isFollowing(role: Role): role is FollowerRole & { readonly leader: NodeId } {
  return role.kind === 'follower' && role.leader !== undefined
}
