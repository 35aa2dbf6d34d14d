// The one door of the consensus core: inputs in, one Output out. The core is pure: no clock, random source, socket, disk, await or logger; the same inputs
// and the same seed give the same outputs. `raft.ts` implements it; the replica loop, the scenarios and the simulator drive it.
import type { Entry } from './entry.ts'
import type { Membership, MembershipChange, NodeId } from './membership.ts'
import type { Message, Parcel } from './message.ts'

/** Term and vote; durable before any answer that depends on them (Raft figure 2, "persistent state"). */
export interface HardState {
  readonly term: number
  readonly votedFor: NodeId | undefined
}

/** Where the log begins after compaction: the last entry that a snapshot replaced. Index 0, term 0: nothing was compacted. */
export interface LogBase {
  readonly index: number
  readonly term: number
}

/** The durable part of the log as the core reads it; implemented by the log store. Synchronous and cheap: recent entries come from memory. */
export interface LogReader {
  readonly base: LogBase
  /** Index of the last entry that the store holds, base.index when it holds none. */
  lastIndex(): number
  /** Term of an entry between base.index and lastIndex() inclusive. */
  termAt(index: number): number
  /** Entries from..to inclusive, cut so that their bytes stay below `bytesMax` but at least one. */
  read(range: { readonly from: number; readonly to: number; readonly bytesMax: number }): readonly Entry[]
}

export type Input =
  /** One unit of time. A late event loop delivers at most one election's worth. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: Message }
  /** Commands to append; `id` comes back in `proposed` or `refused`. `behind`: only as the next entry after this one, else `log_moved_on`. */
  | {
      readonly kind: 'propose'
      readonly id: number
      readonly payload: Uint8Array
      readonly entryKind?: 'command' | 'state-hash'
      readonly behind?: LogBase
    }
  | { readonly kind: 'change-membership'; readonly id: number; readonly change: MembershipChange }
  /** A linearizable read; `id` comes back in `reads` or `refused`. On a follower it is asked of the leader. */
  | { readonly kind: 'read'; readonly id: number }
  /** All that was to be persisted up to and including Output.persist.sequence is on disk. */
  | { readonly kind: 'durable'; readonly sequence: number }
  /** The state machine has applied up to `index`. */
  | { readonly kind: 'applied'; readonly index: number }
  /** The connection to a member was refused or reset. */
  | { readonly kind: 'unreachable'; readonly id: NodeId }
  | { readonly kind: 'transfer'; readonly to: NodeId | undefined }
  /** A whole, verified snapshot lies ready; given only while the state machine has nothing under way. Older than what is applied: ignored. */
  | { readonly kind: 'snapshot-staged'; readonly point: SnapshotPoint }
  /** The state machine differs from the cluster's (or was lost): a snapshot of the leader must replace it, whatever the log says. */
  | { readonly kind: 'state-lost' }
  /** A member has proof that this node's disk was put back in time: as if a leader's `distrust` had come. Given again, it changes nothing. */
  | { readonly kind: 'distrusted' }
  /** A member says that this node has been removed; the entry may never reach it. Given again, it changes nothing. */
  | { readonly kind: 'removed' }

/** What must reach the disk, in order of sequence. Entries replace whatever the log holds from the first one's index on. */
export interface Persist {
  readonly sequence: number
  readonly hardState: HardState | undefined
  readonly entries: readonly Entry[]
  /** The log forgets everything it holds and begins anew after this place, which a snapshot has replaced; `entries` follow it. */
  readonly reset?: LogBase
}

/** What a snapshot holds: everything up to and including `index`, with the membership in effect there (Raft §7). */
export interface SnapshotPoint {
  readonly index: number
  readonly term: number
  readonly membership: Membership
}

export type RefusalCode =
  | 'not_leader'
  | 'leader_unknown'
  | 'overloaded'
  | 'membership_change_pending'
  | 'membership_change_invalid'
  | 'leadership_lost'
  | 'transfer_in_progress'
  | 'log_moved_on'

export type RaftEvent =
  | { readonly kind: 'became-follower'; readonly term: number; readonly leader: NodeId | undefined }
  | { readonly kind: 'became-pre-candidate'; readonly term: number }
  | { readonly kind: 'became-candidate'; readonly term: number }
  | { readonly kind: 'became-leader'; readonly term: number }
  | { readonly kind: 'stepped-down'; readonly term: number; readonly why: 'higher-term' | 'quorum-lost' | 'removed' }
  | { readonly kind: 'membership-changed'; readonly membership: Membership }
  /** On the leader: a member needs entries from before the log's base and has been told to fetch a snapshot. */
  | { readonly kind: 'snapshot-needed'; readonly id: NodeId }
  /** On the leader: a member has lost entries that it had acknowledged. */
  | { readonly kind: 'member-lost-entries'; readonly id: NodeId; readonly acknowledgedIndex: number }
  /** Whether this node's own disk is believed (see Trust): `untrusted` must be durable before the node answers anything else. */
  | { readonly kind: 'trust-changed'; readonly trust: Trust }

/**
 * `untrusted`: this node may have lost entries that it had acknowledged (damaged or rolled-back disk). It follows and acknowledges what it has, but neither votes nor
 * stands until its log holds everything that a quorum has confirmed to be committed since.
 */
export type Trust = 'trusted' | 'untrusted'

export interface Output {
  /** The staged snapshot is to replace the state machine now, before `persist` is written; what is committed from now on follows it. */
  readonly install: SnapshotPoint | undefined
  /** This follower needs a snapshot of at least `indexMin` from `from`: repeated while it is true; fetching what is being fetched changes nothing. */
  readonly fetchSnapshot: { readonly from: NodeId; readonly indexMin: number } | undefined
  readonly persist: Persist | undefined
  /** May be sent at once: the core itself holds back what must wait for durability. */
  readonly send: readonly Parcel[]
  /** Newly committed entries, contiguous, to be applied in this order, each exactly once. They are durable on this node. */
  readonly committed: readonly Entry[]
  /** A proposal's place in the log; its fate is decided when `committed` brings an entry of the same index: same term = ours, another term = lost. */
  readonly proposed: readonly { readonly id: number; readonly index: number; readonly term: number }[]
  /** Confirmed reads: serve when the state machine has applied at least `index`. */
  readonly reads: readonly { readonly id: number; readonly index: number }[]
  readonly refused: readonly { readonly id: number; readonly code: RefusalCode }[]
  readonly events: readonly RaftEvent[]
}

export interface RaftStatus {
  readonly id: NodeId
  readonly term: number
  readonly votedFor: NodeId | undefined
  readonly role: 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner'
  readonly leader: NodeId | undefined
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly membership: Membership
  readonly trust: Trust
  /** Per follower, on the leader only. `active`: heard from within an election timeout. */
  readonly followers: readonly {
    readonly id: NodeId
    readonly matchIndex: number
    readonly nextIndex: number
    readonly state: 'probe' | 'replicate' | 'snapshot'
    readonly active: boolean
  }[]
}

export interface RaftOptions {
  readonly id: NodeId
  readonly hardState: HardState
  readonly log: LogReader
  /** As applied at `appliedIndex` (from the state machine's own bookkeeping, or the bootstrap). */
  readonly membership: Membership
  readonly appliedIndex: number
  /** As kept on disk; absent: trusted. */
  readonly trust?: Trust
  /** Election timeout is drawn from [electionTicks, 2 * electionTicks). */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** A leader that has not heard of a majority for so long steps down; absent: `electionTicks`, and never more. */
  readonly leaseTicks?: number
  /** Must differ between nodes, or votes split for ever, and between the lives of a node, or an answer meant for an earlier life could be taken for a new one. */
  readonly seed: number
  readonly limits: RaftLimits
}

export interface RaftLimits {
  /** Bytes of entries in one append message. */
  readonly appendBytesMax: number
  /** Appends in flight to one follower, in messages and bytes. */
  readonly inflightMessagesMax: number
  readonly inflightBytesMax: number
  /** Entries appended but not committed; beyond it proposals are refused as `overloaded`. */
  readonly uncommittedBytesMax: number
  /**
   * News of a commit rides on the next append, and goes by itself only after so many ticks; 0: at once. A message and its answer for each commit and follower cost a
   * leader more than the commit does, and a follower that applies a moment later delays nobody.
   */
  readonly commitNewsTicks: number
}

export interface RaftCore {
  /** Takes all inputs that have gathered, in order, and gives one Output for them together. */
  step(inputs: readonly Input[]): Output
  /** The log holds the entry, and it is not on the disk yet: a snapshot that ends there is given later. */
  isWriting(index: number): boolean
  status(): RaftStatus
}
