// Linearizable reads without a log entry (thesis §6.4): the leader notes its commit index, lets a majority confirm that it still leads, and answers.
// Confirmations carry a position that only grows, not an id per read: "I have confirmed you up to position p". One round therefore serves all reads that waited
// when it began, a late or repeated confirmation proves only what is old, and there is no table of contexts to leak. Reads that come while a round is
// under way wait for the next one, which begins when the first ends (or with the next heartbeat, should the round have been lost).
import type { NodeId } from './membership.ts'
import { majorityReached } from './quorum.ts'
import { hasCommittedInTerm, isMember, leaderOf, send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'
import type { Message } from './message.ts'
import { takeDoubt } from './trust.ts'

/** Who gets the answer: a read of this node by its id, or a follower's request. */
type Reader = { readonly kind: 'own'; readonly id: number } | { readonly kind: 'follower'; readonly from: NodeId; readonly request: number }

interface Round {
  readonly sequence: number
  readonly index: number
  readonly readers: readonly Reader[]
}

/** Reads that wait at one leader beyond this are refused: each holds a client. */
const waitingReadsMax = 65_536

export class ReadRounds {
  waiting: Reader[] = []
  /** Oldest first. */
  rounds: Round[] = []
}

/** A read of this node. */
export function takeRead(state: RaftState, id: number): void {
  const { role } = state
  if (role.kind === 'leader') {
    if (role.reads.waiting.length >= waitingReadsMax) state.out.refuse(id, 'overloaded')
    else role.reads.waiting.push({ kind: 'own', id })
  } else if (leaderOf(state) === undefined) state.out.refuse(id, 'leader_unknown')
  else state.forwardedReads.add(id)
}

/** A follower's question. Whoever cannot answer says so at once, so that the reader need not wait for a timeout. */
export function takeReadIndex(state: RaftState, from: NodeId, message: Extract<Message, { kind: 'read-index' }>): void {
  if (!isMember(state, from)) return
  const { role } = state
  if (message.term < state.term || role.kind !== 'leader' || role.reads.waiting.length >= waitingReadsMax) {
    send(state, from, { kind: 'read-index-reply', term: state.term, id: message.id, index: 0, refused: true })
    return
  }
  if (message.afterLoss) takeDoubt(state, role, from)
  role.reads.waiting.push({ kind: 'follower', from, request: message.id })
}

/** Only the leader that was asked can answer, in the term in which it was asked: an older term's index may be stale. */
export function takeReadIndexReply(state: RaftState, from: NodeId, message: Extract<Message, { kind: 'read-index-reply' }>): void {
  if (leaderOf(state) !== from) return
  state.forwardedReads.answered(message.id, message.refused ? { refused: 'leader_unknown' } : { index: message.index })
}

/** Ends the rounds that a majority has confirmed and begins the next; true when a new round must be told to the followers. */
export function settleReads(state: RaftState, leader: LeaderRole): boolean {
  answerConfirmed(state, leader)
  // Before its first own commit a leader's commit index may be older than what its predecessor acknowledged (Raft §8).
  if (leader.reads.waiting.length === 0 || !hasCommittedInTerm(state, leader)) return false
  if (leader.reads.rounds.length > 0 && !leader.heartbeatDue) return false
  state.readSequence += 1
  leader.reads.rounds.push({ sequence: state.readSequence, index: state.commitIndex, readers: leader.reads.waiting })
  leader.reads.waiting = []
  // A single voter is its own majority.
  answerConfirmed(state, leader)
  return leader.reads.rounds.length > 0
}

export function refuseReads(state: RaftState, leader: LeaderRole): void {
  const readers = [...leader.reads.rounds.flatMap((round) => round.readers), ...leader.reads.waiting]
  for (const reader of readers) if (reader.kind === 'own') state.out.refuse(reader.id, 'leadership_lost')
}

function answerConfirmed(state: RaftState, leader: LeaderRole): void {
  if (leader.reads.rounds.length === 0) return
  const confirmed = majorityReached(state.voters, (id) =>
    id === state.id ? state.readSequence : (leader.followers.get(id)?.countedReadSequence ?? 0),
  )
  while (leader.reads.rounds[0] !== undefined && leader.reads.rounds[0].sequence <= confirmed) {
    const round = leader.reads.rounds.shift()
    for (const reader of round?.readers ?? []) answer(state, reader, round?.index ?? 0)
  }
}

function answer(state: RaftState, reader: Reader, index: number): void {
  if (reader.kind === 'own') state.out.read(reader.id, index)
  else send(state, reader.from, { kind: 'read-index-reply', term: state.term, id: reader.request, index, refused: false })
}
