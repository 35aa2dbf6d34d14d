// A leader that has been removed (thesis §4.2.2). It leads until its removal is applied here, and is not counted from then on. It stays for as long as it takes until a majority
// of those who remain know that the removal is committed (or an election timeout has passed): left alone with a membership that still names it, they might need its vote.
// Then it hands over to the one whose log is longest, and goes.
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { majorityReached } from './quorum.ts'
import { isVoter, send, type RaftState } from './raft-state.ts'
import { isCounted } from './replication.ts'
import type { LeaderRole } from './role.ts'
import { becomeFollower } from './transitions.ts'

export interface Departure {
  /** All entries up to here, the removal among them, were committed when it took effect. */
  readonly index: number
  /** Appends from this number on have told so. */
  readonly firstNumber: number
  /** Voters that have got one of them. */
  readonly told: Set<NodeId>
  ticks: number
}

/** Memberships have taken effect. */
export function beginDeparture(state: RaftState, leader: LeaderRole): void {
  if (isVoter(state) || leader.departure !== undefined) return
  leader.departure = { index: state.appliedIndex, firstNumber: leader.appendNumber + 1, told: new Set(), ticks: 0 }
}

/** An append was accepted: whoever has the entry and was told the commit index knows. */
export function tookCommit(
  leader: LeaderRole,
  reply: { readonly from: NodeId; readonly message: Extract<Message, { kind: 'append-reply' }> },
): void {
  const { departure } = leader
  const { from, message } = reply
  if (departure === undefined || message.appendNumber < departure.firstNumber || message.matchIndex < departure.index) return
  departure.told.add(from)
}

export function tickDeparture(leader: LeaderRole): void {
  if (leader.departure !== undefined) leader.departure.ticks += 1
}

export function settleDeparture(state: RaftState, leader: LeaderRole): void {
  const { departure } = leader
  if (departure === undefined) return
  const isTold = majorityReached(state.voters, (id) => (departure.told.has(id) ? 1 : 0)) === 1
  if (!isTold && departure.ticks < state.electionTicks) return
  const heir = bestVoter(state, leader)
  if (heir !== undefined) send(state, heir, { kind: 'timeout-now', term: state.term })
  becomeFollower(state, { term: state.term, leader: undefined, why: 'removed' })
}

/** The voter, other than this node, whose log is longest, of those that were heard lately. */
export function bestVoter(state: RaftState, leader: LeaderRole): NodeId | undefined {
  let best: { readonly id: NodeId; readonly matchIndex: number } | undefined
  for (const [id, progress] of leader.followers) {
    if (!state.voters.has(id) || !isCounted(state, progress)) continue
    if (best === undefined || progress.matchIndex > best.matchIndex) best = { id, matchIndex: progress.matchIndex }
  }
  return best?.id
}
