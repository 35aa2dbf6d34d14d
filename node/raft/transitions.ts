// The changes of role (Raft figure 4). Each ends what the old role began: a role's data lives only as long as the role.
import assert from 'node:assert/strict'
import type { NodeId } from './membership.ts'
import { Progress } from './progress.ts'
import type { RaftEvent } from './raft-port.ts'
import { isFollowing, type RaftState } from './raft-state.ts'
import { ReadRounds, refuseReads } from './read-index.ts'
import { UncommittedBytes } from './uncommitted-bytes.ts'
import type { LeaderRole } from './role.ts'

type SteppingDown = Extract<RaftEvent, { kind: 'stepped-down' }>['why']

/** A higher term clears the vote; within a term the vote stands whatever happens, or a node could vote twice (Raft §5.2). */
export function becomeFollower(
  state: RaftState,
  as: { readonly term: number; readonly leader: NodeId | undefined; readonly why?: SteppingDown },
): void {
  assert(as.term >= state.term, 'terms never go back')
  const before = state.role
  if (as.term === state.term && before.kind === 'follower' && before.leader === as.leader) return
  leaveRole(state, as.why ?? 'higher-term')
  if (as.term > state.term) enterTerm(state, as.term, undefined)
  state.role = { kind: 'follower', leader: as.leader }
  resetElectionTimer(state)
  state.out.event({ kind: 'became-follower', term: state.term, leader: as.leader })
}

/** Changes neither term nor vote. */
export function becomePreCandidate(state: RaftState): void {
  leaveRole(state, 'higher-term')
  state.role = { kind: 'pre-candidate', votes: new Map([[state.id, true]]) }
  resetElectionTimer(state)
  state.out.event({ kind: 'became-pre-candidate', term: state.term })
}

/** Its own vote counts, and the others are asked, when term and vote are on disk. */
export function becomeCandidate(state: RaftState, how: { readonly transfer: boolean }): void {
  assert(state.role.kind !== 'leader', 'a leader does not stand for election')
  leaveRole(state, 'higher-term')
  enterTerm(state, state.term + 1, state.id)
  state.role = { kind: 'candidate', votes: new Map(), transfer: how.transfer }
  resetElectionTimer(state)
  state.out.event({ kind: 'became-candidate', term: state.term })
  state.out.promise({ kind: 'campaign', term: state.term })
}

/** The caller appends the noop that opens the term, at `firstIndex`. */
export function becomeLeader(state: RaftState): LeaderRole {
  assert(state.role.kind === 'candidate', 'only an elected candidate leads')
  const firstIndex = state.log.lastIndex + 1
  const role: LeaderRole = {
    kind: 'leader',
    followers: new Map(),
    firstIndex,
    uncommitted: new UncommittedBytes(firstIndex),
    reads: new ReadRounds(),
    appendNumber: 0,
    departure: undefined,
    transfer: undefined,
    mayGiveAwayAtTick: state.isStateLost ? state.now + state.electionTicks : state.now,
    ticksSinceHeartbeat: 0,
    heartbeatDue: false,
    newsTicks: 0,
    commitMayMove: true,
  }
  state.role = role
  trackMembers(state, role)
  state.out.event({ kind: 'became-leader', term: state.term })
  return role
}

/** Keeps one Progress for each other member: new ones are probed, those of the departed are dropped. */
export function trackMembers(state: RaftState, leader: LeaderRole): void {
  const ids = new Set(state.membership.members.map((member) => member.id))
  for (const id of leader.followers.keys()) if (!ids.has(id)) leader.followers.delete(id)
  for (const id of ids) {
    if (id === state.id || leader.followers.has(id)) continue
    const progress = new Progress({ nextIndex: state.log.lastIndex + 1, heardAtTick: state.now, limits: state.limits })
    // Its id may have belonged to another, whose answers are still on their way.
    if (leader.appendNumber > 0) progress.firstValidNumber = leader.appendNumber + 1
    leader.followers.set(id, progress)
  }
}

export function resetElectionTimer(state: RaftState): void {
  state.electionElapsed = 0
  state.electionTimeout = state.electionTicks + state.random(state.electionTicks)
}

function enterTerm(state: RaftState, term: number, votedFor: NodeId | undefined): void {
  state.term = term
  state.votedFor = votedFor
  state.out.hardStateChanged()
}

function leaveRole(state: RaftState, why: SteppingDown): void {
  if (isFollowing(state.role)) state.forwardedReads.refuseAll('leadership_lost')
  if (state.role.kind !== 'leader') return
  refuseReads(state, state.role)
  state.out.event({ kind: 'stepped-down', term: state.term, why })
}
