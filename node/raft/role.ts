// What a node is at the moment, with the data that only that role has. A learner is a follower that is no voter.
import type { NodeId } from './membership.ts'
import type { Departure } from './departure.ts'
import type { Progress } from './progress.ts'
import type { ReadRounds } from './read-index.ts'
import type { UncommittedBytes } from './uncommitted-bytes.ts'

export interface FollowerRole {
  readonly kind: 'follower'
  readonly leader: NodeId | undefined
}

/** Asks whether it would win, without touching anybody's term (thesis §9.6). */
export interface PreCandidateRole {
  readonly kind: 'pre-candidate'
  readonly votes: Map<NodeId, boolean>
}

export interface CandidateRole {
  readonly kind: 'candidate'
  readonly votes: Map<NodeId, boolean>
  /** Asked by the leader to take over: voters answer although they hear from that leader (thesis §3.10). */
  readonly transfer: boolean
}

export interface LeaderRole {
  readonly kind: 'leader'
  readonly followers: Map<NodeId, Progress>
  /** Index of the noop that this leader appended first: committed means that its commit index is current (Raft §8). */
  readonly firstIndex: number
  readonly uncommitted: UncommittedBytes
  readonly reads: ReadRounds
  /** Number of the newest append or install-snapshot of this term. */
  appendNumber: number
  /** It has applied its own removal, and leads only until the others know of it (thesis §4.2.2). */
  departure: Departure | undefined
  transfer: { readonly to: NodeId; ticks: number; asked: boolean } | undefined
  /** From this tick on it may hand over for want of a state machine. */
  readonly mayGiveAwayAtTick: number
  ticksSinceHeartbeat: number
  heartbeatDue: boolean
  // Since the commit index has moved.
  newsTicks: number
  // Something has happened that may move the commit index: looked at once per step.
  commitMayMove: boolean
}

export type Role = FollowerRole | PreCandidateRole | CandidateRole | LeaderRole
