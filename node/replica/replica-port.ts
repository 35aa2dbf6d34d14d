// The door of the replica for the API and the peers: propose, read, look.
import type { Result } from '../../runtime/result.ts'
import type { MembershipChange, NodeId } from '../raft/membership.ts'
import type { RaftEvent, RaftStatus, RefusalCode } from '../raft/raft-port.ts'
import type { Applied } from './state-machine.ts'

/**
 * `not_leader` and `leader_unknown`, `overloaded`, `log_moved_on`: nothing was appended, or what was appended has certainly been replaced: safe to try again. `outcome_unknown`: the command may or may not have been committed
 * (leadership was lost, or the deadline passed while it was in flight): never answered as a failure. `deadline` is only given to reads, waits and transfers. `closing`: nothing was appended.
 * `removed`, `diverged`: see Standing; nothing was appended by this node, and nothing of its own may be served.
 */
export type ReplicaProblem = {
  readonly code: Exclude<RefusalCode, 'leadership_lost'> | 'outcome_unknown' | 'deadline' | 'closing' | 'removed' | 'diverged'
  readonly leader: NodeId | undefined
}

export type Standing = 'member' | 'removed' | 'diverged'

/** Of one entry in the log: with the same index and term everything before it is the same, too. */
export interface EntryPlace {
  readonly index: number
  readonly term: number
}

export interface ProposeOptions {
  readonly timeoutMs: number
  /** Only as the next entry after this one, whatever else is proposed meanwhile; else `log_moved_on`. */
  readonly behind?: EntryPlace
  /** It is in this node's log, and nowhere else in it; whether it is committed is not known yet. Called at most once, before the proposal ends. */
  readonly onPlaced?: (place: EntryPlace) => void
}

export interface Replica {
  propose(payload: Uint8Array, options: ProposeOptions): Promise<Result<Applied, ReplicaProblem>>
  changeMembership(change: MembershipChange, options: { readonly timeoutMs: number }): Promise<Result<Applied, ReplicaProblem>>
  /** Resolves with the confirmed index once the state machine has applied it: a read begun now is linearizable (thesis §6.4). */
  readBarrier(options: { readonly timeoutMs: number }): Promise<Result<number, ReplicaProblem>>
  /** Resolves when the state machine has applied `index`. */
  whenApplied(index: number, options: { readonly timeoutMs: number }): Promise<Result<number, ReplicaProblem>>
  /** Asks another voter to take over (thesis §3.10); resolves when this node follows another leader. A target that is no other voter: `membership_change_invalid`. */
  transferLeadership(options: { readonly to: NodeId | undefined; readonly timeoutMs: number }): Promise<Result<void, ReplicaProblem>>
  status(): RaftStatus
  /** What `status` says of the role, without a list of the followers: each request asks. */
  leads(): boolean
  /** `member`: all is well. Otherwise this node must serve nothing of its own: `removed` from the cluster (as applied, or told by a member), or `diverged` (its state differs). */
  standing(): Standing
  /** Milliseconds since this node last heard from the leader it follows, since the start if it never did; 0 on the leader. */
  leaderContactAgeMs(): number
  /** Elections, leadership, membership: for logs, metrics and the peers. */
  onEvent(listener: (event: RaftEvent) => void): void
  close(): Promise<void>
}
