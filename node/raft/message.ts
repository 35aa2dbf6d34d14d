// What members say to each other. Every message carries the term of its sender; the transport adds who sent it and has checked that it is that member.
import type { Entry } from './entry.ts'
import type { NodeId } from './membership.ts'

export type Message =
  /** Pre-vote asks "would you vote for me in `term`?" and changes nothing at either side (thesis §9.6). */
  | { readonly kind: 'pre-vote'; readonly term: number; readonly lastLogIndex: number; readonly lastLogTerm: number }
  | { readonly kind: 'pre-vote-reply'; readonly term: number; readonly granted: boolean }
  | {
      readonly kind: 'vote'
      readonly term: number
      readonly lastLogIndex: number
      readonly lastLogTerm: number
      readonly transfer: boolean
    }
  | { readonly kind: 'vote-reply'; readonly term: number; readonly granted: boolean }
  /** Replication and heartbeat in one (Raft §5.3). `readSequence`: the newest read position that this round confirms (0: none). */
  | {
      readonly kind: 'append'
      readonly term: number
      readonly prevLogIndex: number
      readonly prevLogTerm: number
      readonly leaderCommit: number
      readonly readSequence: number
      readonly entries: readonly Entry[]
    }
  /** `matchIndex` counts only what is durable at the follower; on refusal it is the prevLogIndex that was refused, and `hintIndex`/`hintTerm` let the leader skip whole terms backwards (Raft §5.3, last paragraphs). */
  | {
      readonly kind: 'append-reply'
      readonly term: number
      readonly accepted: boolean
      readonly matchIndex: number
      readonly hintIndex: number
      readonly hintTerm: number
      readonly readSequence: number
    }
  /** A follower asks its leader for a read index (thesis §6.4). */
  | { readonly kind: 'read-index'; readonly term: number; readonly id: number }
  | { readonly kind: 'read-index-reply'; readonly term: number; readonly id: number; readonly index: number; readonly refused: boolean }
  | { readonly kind: 'timeout-now'; readonly term: number }
  /**
   * Raft's InstallSnapshot (figure 13) without the data: the log no longer holds what this follower needs next. Counts as the leader's heartbeat. The follower fetches
   * a snapshot of at least `baseIndex` from the sender by itself (replica/snapshot-source.ts), so its own disk sets the pace, and answers later appends as usual.
   */
  | { readonly kind: 'install-snapshot'; readonly term: number; readonly baseIndex: number; readonly readSequence: number }
  /** The leader has proof that the receiver has lost entries it had acknowledged (its disk was put back in time): it must not vote until it has them again. */
  | { readonly kind: 'distrust'; readonly term: number; readonly acknowledgedIndex: number }

export interface Parcel {
  readonly to: NodeId
  readonly message: Message
}
