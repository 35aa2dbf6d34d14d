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
  /**
   * Replication and heartbeat in one (Raft §5.3). `readSequence`: the newest read position that this round confirms (0: none). `appendNumber` counts the appends and
   * install-snapshots of this leader's term, and its answer repeats it: so an answer can be told from those to what was sent before (see trust.ts).
   */
  | {
      readonly kind: 'append'
      readonly term: number
      readonly prevLogIndex: number
      readonly prevLogTerm: number
      readonly leaderCommit: number
      readonly readSequence: number
      readonly appendNumber: number
      readonly entries: readonly Entry[]
    }
  /** `matchIndex` counts only what is durable at the follower; on refusal it is the prevLogIndex that was refused, and `hintIndex`/`hintTerm` let the leader skip whole terms backwards (Raft §5.3, last paragraphs). `trusted`: what the sender says of its own disk; what an untrusted node says counts for no majority. */
  | {
      readonly kind: 'append-reply'
      readonly term: number
      readonly accepted: boolean
      readonly matchIndex: number
      readonly hintIndex: number
      readonly hintTerm: number
      readonly readSequence: number
      readonly appendNumber: number
      readonly trusted: boolean
    }
  /** A follower asks its leader for a read index (thesis §6.4). `afterLoss`: an untrusted one asks what it must have again; what it said before counts for nothing from then on. */
  | { readonly kind: 'read-index'; readonly term: number; readonly id: number; readonly afterLoss: boolean }
  | { readonly kind: 'read-index-reply'; readonly term: number; readonly id: number; readonly index: number; readonly refused: boolean }
  | { readonly kind: 'timeout-now'; readonly term: number }
  /**
   * Raft's InstallSnapshot (figure 13) without the data: the log no longer holds what this follower needs next; it begins after `baseIndex`, whose entry is of `baseTerm`.
   * Counts as the leader's heartbeat. The answer is an append-reply: accepted when the follower's log agrees at the base, with all that it holds of the committed log;
   * refused otherwise, and then the follower fetches a snapshot of at least `baseIndex` from the sender by itself (replica/snapshot-source.ts), so its own disk sets the pace.
   */
  | {
      readonly kind: 'install-snapshot'
      readonly term: number
      readonly baseIndex: number
      readonly baseTerm: number
      readonly readSequence: number
      readonly appendNumber: number
    }
  /** The leader has proof that the receiver has lost entries it had acknowledged (its disk was put back in time): it must not vote until it has them again. */
  | { readonly kind: 'distrust'; readonly term: number; readonly acknowledgedIndex: number }

export interface Parcel {
  readonly to: NodeId
  readonly message: Message
}
