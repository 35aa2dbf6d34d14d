// Changes of membership, one at a time (thesis §4.1-4.2): who is added learns first and gets a vote when it has caught up, or never (a read replica).
import { fail, ok, type Result } from '../../runtime/result.ts'
import { beginDeparture } from './departure.ts'
import { encodeMembership, parseMembership } from './membership-codec.ts'
import type { Member, Membership, MembershipChange, NodeId } from './membership.ts'
import { hasCommittedInTerm, isMember, votersOf, type RaftState } from './raft-state.ts'
import { isCounted } from './quorum-contact.ts'
import { appendOwn, hasRoom, sayFarewell } from './replication.ts'
import type { LeaderRole } from './role.ts'
import { trackMembers } from './transitions.ts'

/** A learner this close to the end of the log will not hold up commits as a voter (thesis §4.2.1). */
export const promotionLagMax = 64

/** The membership after a change. Refused: an id that belongs to another incarnation, an unknown id, an address that is taken, a field out of bounds. */
export function changed(membership: Membership, change: MembershipChange): Result<Membership, 'membership_change_invalid'> {
  if (change.kind === 'remove') return without(membership, change.id)
  const member = changedMember(membership, change)
  if (member === undefined) return fail('membership_change_invalid')
  const others = membership.members.filter((other) => other.id !== member.id)
  const members = [...others, member].sort((a, b) => (a.id < b.id ? -1 : 1))
  const parsed = parseMembership({ ...membership, members })
  return parsed.ok ? ok(parsed.value) : fail('membership_change_invalid')
}

export function takeChange(state: RaftState, leader: LeaderRole, asked: { readonly id: number; readonly change: MembershipChange }): void {
  if (!mayChange(state, leader)) return state.out.refuse(asked.id, 'membership_change_pending')
  const { change } = asked
  const isEarly = change.kind === 'promote' && !isCaughtUp(state, leader, change.id)
  const next = changed(state.membership, change)
  if (isEarly || !next.ok) return state.out.refuse(asked.id, 'membership_change_invalid')
  const payload = encodeMembership(next.value)
  if (!hasRoom(state, leader, payload.length)) return state.out.refuse(asked.id, 'overloaded')
  state.out.proposed(asked.id, appendOwn(state, leader, { kind: 'membership', payload }))
}

/** The leader gives a vote to the first learner that has caught up. */
export function promoteLearners(state: RaftState, leader: LeaderRole): void {
  if (!mayChange(state, leader)) return
  const learner = state.membership.members.find((member) => member.suffrage === 'learner' && isCaughtUp(state, leader, member.id))
  if (learner === undefined) return
  const next = changed(state.membership, { kind: 'promote', id: learner.id })
  if (next.ok) appendOwn(state, leader, { kind: 'membership', payload: encodeMembership(next.value) })
}

/**
 * The first change of a leader whose membership was written by hand after a lost quorum (`peers.json`): until it is in the log, it holds only for those who have read
 * the file, and not for whoever joins. Told once more when a restart has forgotten that it was told: that changes nothing.
 */
export function tellEpoch(state: RaftState, leader: LeaderRole): void {
  if ((state.membership.epoch ?? 0) <= state.membershipLog.newestEpoch || !mayChange(state, leader)) return
  appendOwn(state, leader, { kind: 'membership', payload: encodeMembership(state.membership) })
}

/** The state machine has applied up to `index`: what it applied of memberships takes effect now. */
export function takeEffect(state: RaftState, index: number): void {
  adopt(state, state.membershipLog.applied(index))
}

/** Memberships take effect, in this order; those of an epoch that a hand has ended do not. */
export function adopt(state: RaftState, memberships: readonly Membership[]): void {
  const before = state.membership
  for (const membership of memberships) if (isInForce(membership, state.membership)) state.membership = membership
  if (state.membership === before) return
  state.voters = votersOf(state.membership)
  if (isMember(state, state.id)) state.isToldRemoved = false
  state.out.event({ kind: 'membership-changed', membership: state.membership })
  if (state.role.kind !== 'leader') return
  for (const { id } of before.members) if (!isMember(state, id)) sayFarewell(state, state.role, id)
  trackMembers(state, state.role)
  beginDeparture(state, state.role, state.appliedIndex)
  // Another majority counts now.
  state.role.commitMayMove = true
}

function isInForce(membership: Membership, present: Membership): boolean {
  return (membership.epoch ?? 0) >= (present.epoch ?? 0)
}

/** The last voter stays: nobody could bring another one in. */
function without(membership: Membership, id: NodeId): Result<Membership, 'membership_change_invalid'> {
  const members = membership.members.filter((member) => member.id !== id)
  const next = { ...membership, members }
  return members.length < membership.members.length && votersOf(next).size > 0 ? ok(next) : fail('membership_change_invalid')
}

/** One at a time; not before this leader has committed an entry of its own term (the correction to thesis §4.1 of 2015); not while it hands over. */
function mayChange(state: RaftState, leader: LeaderRole): boolean {
  return (
    !state.membershipLog.hasUnapplied &&
    hasCommittedInTerm(state, leader) &&
    leader.transfer === undefined &&
    leader.departure === undefined
  )
}

function isCaughtUp(state: RaftState, leader: LeaderRole, id: NodeId): boolean {
  const progress = leader.followers.get(id)
  if (!isCounted(state, progress) || progress.flow.kind !== 'replicate') return false
  return progress.matchIndex >= Math.max(1, state.log.lastIndex - promotionLagMax)
}

function changedMember(membership: Membership, change: Exclude<MembershipChange, { kind: 'remove' }>): Member | undefined {
  const id = 'member' in change ? change.member.id : change.id
  const present = membership.members.find((member) => member.id === id)
  switch (change.kind) {
    case 'add-learner':
    case 'add-non-voter':
      if (present === undefined) return { ...change.member, suffrage: change.kind === 'add-learner' ? 'learner' : 'non-voter' }
      return present.incarnation === change.member.incarnation ? { ...change.member, suffrage: present.suffrage } : undefined
    case 'promote':
      return present?.suffrage === 'learner' ? { ...present, suffrage: 'voter' } : undefined
    case 'update-address':
      return present === undefined ? undefined : { ...present, raftAddress: change.raftAddress, apiUrl: change.apiUrl }
  }
}
