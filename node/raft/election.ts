// Elections: pre-vote (thesis §9.6), votes (Raft §5.2, §5.4.1) and the loyalty that keeps a working leader in place (thesis §4.2.3).
import { beginDeparture } from './departure.ts'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { voteResult } from './quorum.ts'
import { isFollowing, isMember, isUpToDate, isVoter, leaderOf, send, sendWhenDurable, type RaftState } from './raft-state.ts'
import { appendOwn } from './replication.ts'
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate, resetElectionTimer } from './transitions.ts'

type PreVote = Extract<Message, { kind: 'pre-vote' }>
type Vote = Extract<Message, { kind: 'vote' }>

/**
 * Whether this node has a leader that it heard within an election timeout: then a request for votes can only disturb (thesis §4.2.3).
 * A leader that lost its quorum steps down by itself, so while it leads it is loyal to itself. A leader that asks for votes is none any more.
 */
export function isLoyal(state: RaftState, candidate: NodeId): boolean {
  if (state.role.kind === 'leader') return true
  return isFollowing(state.role) && state.role.leader !== candidate && state.electionElapsed < state.electionTicks
}

/**
 * A learner has no vote to win with; and whoever knows of a committed change it has not applied would count by a membership no longer in force.
 * A learner whose promotion stands in its log may be needed by those who know that it is committed: when its log is longer than theirs, nobody else can win. It wins by the votes
 * of the voters that it knows, its own not among them, so never beside another of its term.
 */
function mayCampaign(state: RaftState): boolean {
  const mayWin = isVoter(state) || state.membershipLog.givesVoteTo(state.id)
  return state.role.kind !== 'leader' && mayWin && state.doubt === undefined && !state.membershipLog.hasUnappliedUpTo(state.commitIndex)
}

/**
 * The election timer has run out, or the leader is known to be gone.
 * One who may not stand forgets the leader all the same: others may need its vote, a removed one's too, by a membership that they do not know to be over, and as long as it
 * is loyal it gives none. One who was told that it is removed would disturb; it stands only where it is needed (see isNeededInstead).
 */
export function preCampaign(state: RaftState): void {
  if (mayCampaign(state) && !state.isToldRemoved) askForPreVotes(state)
  else if (state.role.kind === 'follower' && state.role.leader === undefined) resetElectionTimer(state)
  else becomeFollower(state, { term: state.term, leader: undefined })
}

function askForPreVotes(state: RaftState): void {
  becomePreCandidate(state)
  if (settlePreVotes(state)) return
  const request = { kind: 'pre-vote', term: state.term + 1, lastLogIndex: state.log.lastIndex, lastLogTerm: state.log.lastTerm } as const
  for (const voter of state.voters) if (voter !== state.id) send(state, voter, request)
}

/**
 * The connection to the leader was reset: most often because its process died, and then all of its followers hear of it at once. Each forgets it, and with it the
 * loyalty to it, and asks for pre-votes without waiting for the timer. Where the leader lives and only this connection broke, the others are loyal, do not answer,
 * and its next heartbeat makes this node a follower again, in the same term.
 */
export function forgetLeader(state: RaftState, id: NodeId): void {
  if (isFollowing(state.role) && state.role.leader === id) preCampaign(state)
}

/** Changes nothing at this node, least of all its term, its vote or its timer. */
export function takePreVote(state: RaftState, from: NodeId, message: PreVote): void {
  if (isLoyal(state, from)) return
  const isGranted = state.doubt === undefined && message.term > state.term && isUpToDate(state.log, message)
  send(state, from, { kind: 'pre-vote-reply', term: isGranted ? message.term : state.term, granted: isGranted })
  if (isGranted && state.role.kind === 'pre-candidate' && isBetterCandidate(state, from, message)) {
    // Followers that lose their leader in the same moment would split the vote: the one with less log, or the greater id, steps back for one timeout.
    becomeFollower(state, { term: state.term, leader: undefined })
  }
  if (!isGranted && isNeededInstead(state, from, message)) askForPreVotes(state)
}

export function takePreVoteReply(state: RaftState, from: NodeId, message: Extract<Message, { kind: 'pre-vote-reply' }>): void {
  if (state.role.kind !== 'pre-candidate') return
  if (message.granted && message.term !== state.term + 1) return
  state.role.votes.set(from, message.granted)
  settlePreVotes(state)
}

/** A vote request of this node's term. The first who asks gets the one vote of the term, if its log is up to date (Raft §5.2, §5.4.1). */
export function takeVote(state: RaftState, from: NodeId, message: Vote): void {
  const isFree = state.votedFor === from || (state.votedFor === undefined && leaderOf(state) === undefined)
  if (state.doubt !== undefined || !isFree || !isUpToDate(state.log, message))
    return send(state, from, { kind: 'vote-reply', term: state.term, granted: false })
  if (state.votedFor === undefined) {
    state.votedFor = from
    state.out.hardStateChanged()
  }
  becomeFollower(state, { term: state.term, leader: leaderOf(state) })
  resetElectionTimer(state)
  sendWhenDurable(state, from, { message: { kind: 'vote-reply', term: state.term, granted: true }, logIndex: 0 })
}

export function takeVoteReply(state: RaftState, from: NodeId, message: Extract<Message, { kind: 'vote-reply' }>): void {
  if (state.role.kind !== 'candidate') return
  state.role.votes.set(from, message.granted)
  settleVotes(state)
}

/** The candidate's term and vote are on disk: its own vote counts now and the others may be asked. */
export function campaign(state: RaftState): void {
  const { role } = state
  if (role.kind !== 'candidate') return
  role.votes.set(state.id, true)
  if (settleVotes(state)) return
  const request = {
    kind: 'vote',
    term: state.term,
    lastLogIndex: state.log.lastIndex,
    lastLogTerm: state.log.lastTerm,
    transfer: role.transfer,
  } as const
  for (const voter of state.voters) if (voter !== state.id) send(state, voter, request)
}

/** The leader hands over: no pre-vote, and the voters are told that this is no disturbance (thesis §3.10). */
export function takeTimeoutNow(state: RaftState, from: NodeId): void {
  if (leaderOf(state) !== undefined && leaderOf(state) !== from) return
  state.standWhenApplied = { term: state.term, untilTick: state.now + state.electionTicks }
  standIfAsked(state)
}

/** The one that hands over may have been removed by a change that this node knows to be committed and has not applied (see mayCampaign): then it stands a moment later. */
export function standIfAsked(state: RaftState): void {
  if (state.standWhenApplied === undefined) return
  const { term, untilTick } = state.standWhenApplied
  // After an election timeout the leader that has asked has given up, too.
  const isStale = term !== state.term || state.now >= untilTick || state.role.kind === 'leader'
  const isWaiting = !isStale && isVoter(state) && state.membershipLog.hasUnappliedUpTo(state.commitIndex)
  if (isWaiting) return
  state.standWhenApplied = undefined
  if (!isStale && mayCampaign(state)) becomeCandidate(state, { transfer: true })
}

function takeOver(state: RaftState): void {
  const leader = becomeLeader(state)
  appendOwn(state, leader, { kind: 'noop', payload: new Uint8Array() })
  beginDeparture(state, leader, leader.firstIndex)
}

function settlePreVotes(state: RaftState): boolean {
  if (state.role.kind !== 'pre-candidate') return false
  const result = voteResult(state.voters, state.role.votes)
  if (result === 'won') becomeCandidate(state, { transfer: false })
  if (result === 'lost') becomeFollower(state, { term: state.term, leader: undefined })
  return result !== 'pending'
}

function settleVotes(state: RaftState): boolean {
  if (state.role.kind !== 'candidate') return false
  const result = voteResult(state.voters, state.role.votes)
  // The noop lets the new leader commit, and so learn, what its predecessors left (Raft §5.4.2, §8).
  if (result === 'won') takeOver(state)
  if (result === 'lost') becomeFollower(state, { term: state.term, leader: undefined })
  return result !== 'pending'
}

/**
 * Whoever asks and lacks what this node has cannot win with its help, but has lost its leader, too, and may give its own vote now: so this node asks (again) at once.
 * That may also be a removed one, which stands for nothing by itself: a leader that went down right after it had applied its own removal may be the only one who knows that it is
 * committed, and be needed by a voter that does not know. It leads once more, for as long as it takes to tell (thesis §4.2.2: a leader may manage a cluster without itself).
 */
function isNeededInstead(state: RaftState, from: NodeId, message: PreVote): boolean {
  if (leaderOf(state) !== undefined || state.role.kind === 'candidate' || isUpToDate(state.log, message)) return false
  const isLate = !isMember(state, state.id) && state.voters.has(from) && state.doubt === undefined && !state.membershipLog.hasUnapplied
  return isLate || mayCampaign(state)
}

function isBetterCandidate(state: RaftState, from: NodeId, message: PreVote): boolean {
  const isEqual = message.lastLogTerm === state.log.lastTerm && message.lastLogIndex === state.log.lastIndex
  return isEqual ? from < state.id : true
}
