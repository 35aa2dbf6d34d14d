// Who belongs to the cluster. The configuration is a log entry (kind `membership`) and takes effect when it is *applied*; at most one may be unapplied,
// and a node with a committed but unapplied one does not campaign (the published guard for effect-at-apply; thesis §4.1 with the 2015 correction:
// a leader changes membership only after committing an entry of its own term).

/** A stable name of a node: `-node-id`, else its Raft address. 1..255 printable characters, no spaces, no `,`. */
export type NodeId = string & { readonly __brand: 'NodeId' }

/** `learner`: receives the log, has no vote until it has caught up (thesis §4.2.1). `non-voter`: receives the log for good and never votes (a read replica). */
export type Suffrage = 'voter' | 'learner' | 'non-voter'

export interface Member {
  readonly id: NodeId
  /** Made anew with each data directory, known to members only: a wiped node that comes back under its old id is another member. */
  readonly incarnation: string
  /** Advertised Raft address, `host:port`. */
  readonly raftAddress: string
  /** Advertised API URL, `https://host:port`. */
  readonly apiUrl: string
  readonly suffrage: Suffrage
}

export interface Membership {
  /** In ascending order of id; ids are unique. */
  readonly members: readonly Member[]
  /** How often a lost quorum has been replaced by hand (`peers.json`); absent: never. Entries of an older epoch no longer change the membership. */
  readonly epoch?: number
}

/** One change at a time. `add` of a known id with the same incarnation only brings its addresses up to date. */
export type MembershipChange =
  | { readonly kind: 'add-learner'; readonly member: Omit<Member, 'suffrage'> }
  | { readonly kind: 'add-non-voter'; readonly member: Omit<Member, 'suffrage'> }
  | { readonly kind: 'promote'; readonly id: NodeId }
  | { readonly kind: 'remove'; readonly id: NodeId }
  | { readonly kind: 'update-address'; readonly id: NodeId; readonly raftAddress: string; readonly apiUrl: string }
