// How nodes that know of each other become one cluster, once, whatever crashes (-bootstrap-expect N with -join a,b,c).
//
// The protocol, per node, with three states that survive a crash: unformed, adopted (the identity file names a cluster), confirmed.
// 1. Gather. Each node asks every -join address who it is and what its state is. Only those count that it has dialled itself and whose certificate it trusts.
// 2. Propose. A node that has met N unformed nodes (itself included) and has the smallest id of them is the coordinator. It proposes {cluster id, members}; members carry
//    each node's incarnation, and the cluster id is a hash of the members: a coordinator that crashes and starts over proposes the very same cluster.
// 3. Accept. A node adopts, durably, at most one cluster in the life of its data directory, and only one that lists it as it is, with N members, proposed by its coordinator.
// 4. Complete. The coordinator adopts last, when all others have. So "the coordinator has adopted" says "all N have", and a cluster in which any founder refuses
//    never begins.
// 5. Confirm. A founder starts its replica only when it is the coordinator and has adopted, or hears from the coordinator that it has, or from anyone that the cluster runs,
//    or finds its own log not empty (it was confirmed before a restart).
//
// Why there are never two clusters of the same nodes: suppose clusters S and T both run and share a node x. All of S and all of T had adopted. If x is listed with one
// incarnation in both, one data directory adopted twice: impossible. If with two, x was wiped in between; it is then not the member of S, S's members refuse it
// (the proof in the hello), and it can be in T only if all founders of T were unformed, so T shares no living data directory with S. Sets of N that share no node at all
// cannot be told apart by anybody; that is why N must be more than half of the nodes that -join names.
// The obvious alternative, "start when N notifications have come" (each for itself), forms two clusters when nodes see different sets of N.
//
// Crashes: before its adoption a node has promised nothing and starts over. A coordinator that crashes between others' adoption and its own finds them `adopted` when
// it gathers again and proposes what they have adopted. An adopted founder that crashes waits for confirmation again. The price, as of every two-phase commit: if a founder's disk is lost
// between the first adoption and the last, the others wait. Nothing has been written anywhere then; `founder_lost` says what to do.
// A wiped node that meets a running cluster does not form one: it asks to join, and is refused under its old id (`member_of_another_incarnation`).
import { createHash } from 'node:crypto'
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import type { NodeRecord, NotifyAnswer } from './join-words.ts'

export interface FormationView {
  readonly self: NodeRecord
  /** `-bootstrap-expect`; undefined when only -join was given. */
  readonly expect: number | undefined
  readonly own: ClusterIdentity | undefined
  /** This node's log holds entries: it was confirmed once. */
  readonly hasLog: boolean
  /** What the -join addresses answered in this round; those who did not answer are missing. Answers of this node to itself are allowed. */
  readonly heard: readonly NotifyAnswer[]
}

export type Proposal = { readonly clusterId: string; readonly membership: Membership }

export type Decision =
  | { readonly kind: 'go'; readonly cluster: ClusterIdentity }
  /** Ask all others of the membership, then adopt it. */
  | { readonly kind: 'propose'; readonly proposal: Proposal }
  | { readonly kind: 'join' }
  | { readonly kind: 'wait'; readonly why: WaitReason; readonly detail: string }
  /** Waiting would not help. */
  | { readonly kind: 'stop'; readonly code: 'node_id_taken'; readonly detail: string }

/** `founder_lost`: a founder's data is gone before the cluster was complete; a person must delete the others' data directories (nothing was written). */
type WaitReason = 'more-nodes' | 'coordinator' | 'confirmation' | 'others-are-forming' | 'founder_lost' | 'join-target'

export function decide(view: FormationView): Decision {
  return view.own === undefined ? decideUnformed(view) : decideAdopted(view, view.own)
}

/** Whether a founder may start its replica without hearing from anyone. */
export function isConfirmed(cluster: ClusterIdentity, self: NodeId, hasLog: boolean): boolean {
  return cluster.origin === 'joined' || hasLog || coordinatorOf(cluster.members)?.id === self
}

function decideAdopted(view: FormationView, own: ClusterIdentity): Decision {
  const { self, heard } = view
  if (isConfirmed(own, self.id, view.hasLog)) return { kind: 'go', cluster: own }
  const coordinator = coordinatorOf(own.members)
  const runs = heard.some((answer) => answer.kind === 'running' && answer.clusterId === own.clusterId)
  if (runs) return { kind: 'go', cluster: own }
  const lost = own.members.members.find((member) =>
    heard.some((answer) => hasRecord(answer) && answer.record.id === member.id && answer.record.incarnation !== member.incarnation),
  )
  if (lost !== undefined) {
    const detail = `${lost.id} lost its data directory; if another of ${ids(own.members)} has served already, start it; if none has, delete the data directories of all and start again`
    return { kind: 'wait', why: 'founder_lost', detail }
  }
  return { kind: 'wait', why: 'confirmation', detail: `all of ${ids(own.members)} must accept; ${coordinator?.id ?? ''} confirms` }
}

function decideUnformed(view: FormationView): Decision {
  const { self, expect, heard } = view
  const twin = heard.find((answer) => hasRecord(answer) && answer.record.id === self.id && answer.record.incarnation !== self.incarnation)
  if (twin !== undefined) return { kind: 'stop', code: 'node_id_taken', detail: `another node calls itself ${self.id} too` }
  if (heard.some((answer) => answer.kind === 'running')) return { kind: 'join' }
  if (expect === undefined) return { kind: 'wait', why: 'join-target', detail: 'no -join address belongs to a running cluster' }
  const mine = heard.find((answer) => answer.kind === 'adopted' && isCoordinatedBy(answer.membership, self))
  if (mine?.kind === 'adopted') return { kind: 'propose', proposal: { clusterId: mine.clusterId, membership: mine.membership } }
  if (heard.some((answer) => answer.kind === 'adopted'))
    return { kind: 'wait', why: 'others-are-forming', detail: 'a cluster is being formed' }
  return decideFounders(self, expect, heard)
}

function decideFounders(self: NodeRecord, expect: number, heard: readonly NotifyAnswer[]): Decision {
  const met = new Map<NodeId, NodeRecord>([[self.id, self]])
  for (const answer of heard) if (answer.kind === 'unformed') met.set(answer.record.id, answer.record)
  const founders = Array.from(met.values())
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, expect)
  if (founders.length < expect) {
    return { kind: 'wait', why: 'more-nodes', detail: `met ${founders.length} of ${expect}: ${founders.map(({ id }) => id).join(', ')}` }
  }
  const coordinator = founders[0]
  if (coordinator?.id !== self.id) return { kind: 'wait', why: 'coordinator', detail: `${coordinator?.id ?? ''} proposes` }
  return { kind: 'propose', proposal: proposalOf(founders) }
}

/** In ascending order of id, all voters; the same members give the same cluster id. */
export function proposalOf(founders: readonly NodeRecord[]): Proposal {
  const members = founders
    .map(({ id, incarnation, raftAddress, apiUrl }): Member => ({ id, incarnation, raftAddress, apiUrl, suffrage: 'voter' }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  return { clusterId: clusterIdOf({ members }), membership: { members } }
}

/** Incarnations are random and secret, so nobody outside can make this. 128 bits. */
export function clusterIdOf(membership: Membership): string {
  return createHash('sha256').update('securesql cluster\n').update(encodeMembership(membership)).digest('hex').slice(0, 32)
}

export type ProposalRefusal =
  | 'adopted_another'
  | 'lists_another_me'
  | 'other_expectation'
  | 'not_its_coordinator'
  | 'proposal_malformed'
  | 'proposes_itself'

/** Undefined: to be adopted (or adopted already). */
export function judgeProposal(
  proposal: Proposal,
  at: {
    readonly self: NodeRecord
    readonly expect: number | undefined
    readonly own: ClusterIdentity | undefined
    readonly proposer: NodeId
  },
): ProposalRefusal | undefined {
  const { self, expect, own, proposer } = at
  const { membership, clusterId } = proposal
  if (clusterId !== clusterIdOf(membership) || membership.members.some(({ suffrage }) => suffrage !== 'voter')) return 'proposal_malformed'
  if (own !== undefined) return own.clusterId === clusterId ? undefined : 'adopted_another'
  if (membership.members.length !== expect) return 'other_expectation'
  const listed = membership.members.find(({ id }) => id === self.id)
  const isMe = listed?.incarnation === self.incarnation && listed.raftAddress === self.raftAddress && listed.apiUrl === self.apiUrl
  if (!isMe) return 'lists_another_me'
  // It adopts last: it must never adopt because somebody else says so.
  if (isCoordinatedBy(membership, self)) return 'proposes_itself'
  return coordinatorOf(membership)?.id === proposer ? undefined : 'not_its_coordinator'
}

function coordinatorOf(membership: Membership): Member | undefined {
  return membership.members[0]
}

function isCoordinatedBy(membership: Membership, node: NodeRecord): boolean {
  const coordinator = coordinatorOf(membership)
  return coordinator?.id === node.id && coordinator.incarnation === node.incarnation
}

function hasRecord(answer: NotifyAnswer): answer is Extract<NotifyAnswer, { readonly record: NodeRecord }> {
  return answer.kind === 'unformed' || answer.kind === 'adopted'
}

function ids(membership: Membership): string {
  return membership.members.map(({ id }) => id).join(', ')
}
