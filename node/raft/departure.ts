// A leader that has been removed (thesis §4.2.2). It leads until its removal is applied here, and is not counted from then on. It stays for as long as it takes until a majority
// of those who remain know that the removal is committed (or an election timeout has passed): left alone with a membership that still names it, they might need its vote.
// Then it hands over to the one whose log is longest, and goes.
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { majorityReached } from './quorum.ts'
import { bestVoter } from './quorum-contact.ts'
import { isVoter, send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'
import { becomeFollower } from './transitions.ts'

export interface Departure {
  /** The removal, or an entry after it. */
  readonly index: number
  /** Appends from this number on have told so; undefined: it is not committed yet. */
  firstNumber: number | undefined
  /** Voters that have got one of them. */
  readonly told: Set<NodeId>
  ticks: number
}

/** To be called when this may be a leader that is no voter (any more). What it has to tell is that everything up to `index` is committed. */
export function beginDeparture(state: RaftState, leader: LeaderRole, index: number): void {
  if (isVoter(state) || leader.departure !== undefined) return
  leader.departure = { index, firstNumber: undefined, told: new Set(), ticks: 0 }
  noteTelling(state, leader, leader.departure)
  leader.heartbeatDue = true
}

/** An append was accepted: whoever has the entry and was told the commit index knows. */
export function tookCommit(
  leader: LeaderRole,
  reply: { readonly from: NodeId; readonly message: Extract<Message, { kind: 'append-reply' }> },
): void {
  const { departure } = leader
  const { from, message } = reply
  if (departure?.firstNumber === undefined || message.appendNumber < departure.firstNumber || message.matchIndex < departure.index) return
  departure.told.add(from)
}

export function tickDeparture(leader: LeaderRole): void {
  if (leader.departure !== undefined) leader.departure.ticks += 1
}

export function settleDeparture(state: RaftState, leader: LeaderRole): void {
  const { departure } = leader
  if (departure === undefined) return
  // It was elected as a learner whose promotion had not been applied (see mayCampaign), and now it has.
  if (isVoter(state)) {
    leader.departure = undefined
    return
  }
  noteTelling(state, leader, departure)
  const isTold = majorityReached(state.voters, (id) => (departure.told.has(id) ? 1 : 0)) === 1
  if (!isTold && departure.ticks < state.electionTicks) return
  const heir = bestVoter(state, leader)
  if (heir !== undefined) send(state, heir, { kind: 'timeout-now', term: state.term })
  becomeFollower(state, { term: state.term, leader: undefined, why: 'removed' })
}

// What is sent from now on tells the commit index.
function noteTelling(state: RaftState, leader: LeaderRole, departure: Departure): void {
  if (departure.firstNumber === undefined && state.commitIndex >= departure.index) departure.firstNumber = leader.appendNumber + 1
}
