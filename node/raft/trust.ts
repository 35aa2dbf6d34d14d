// Whether a node's disk can be believed (see Trust in raft-port.ts). Raft rests on disks that forget nothing. A node whose disk was damaged or put back in time may have
// lost entries that it had acknowledged and, with them, a term and a vote. Until it has everything again that can have been committed with its help,
//   - it neither votes nor stands, and tells the leader with every answer that it is not to be counted;
//   - it asks the leader for a read index. The majority that confirms it does so without this node and after its loss, so the index is not below anything that
//     was committed with the help of what was lost, and no newer leader that this node may have voted for was known to that majority;
//   - when its durable and committed log has reached that index, it is trusted again.
// It waits for an election timeout before it asks: votes and acknowledgements of the time before the loss may still be on their way.
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import type { Progress } from './progress.ts'
import { isFollowing, leaderOf, send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'
import { becomeFollower } from './transitions.ts'

/** What an untrusted node knows of its way back. */
export interface Doubt {
  readonly sinceTick: number
  request: { readonly id: number; readonly askedAtTick: number } | undefined
  /** Everything up to here was committed when a majority without this node was asked. */
  confirmedIndex: number | undefined
}

export function newDoubt(sinceTick: number): Doubt {
  return { sinceTick, request: undefined, confirmedIndex: undefined }
}

/** This node has learned that its disk is not to be believed. A disk loses while nobody looks, so a doubt that began in this life covers whatever is found out later. */
export function loseTrust(state: RaftState): void {
  if (state.doubt !== undefined) return
  state.out.event({ kind: 'trust-changed', trust: 'untrusted' })
  state.doubt = newDoubt(state.now)
  if (state.role.kind !== 'follower') becomeFollower(state, { term: state.term, leader: undefined })
}

/** Only the leader has the proof. */
export function takeDistrust(state: RaftState, from: NodeId): void {
  if (leaderOf(state) !== undefined && leaderOf(state) !== from) return
  if (state.role.kind !== 'leader') loseTrust(state)
}

/** Asks for the index, and ends the doubt when the log has reached it. */
export function settleDoubt(state: RaftState): void {
  const { doubt } = state
  if (doubt === undefined) return
  if (doubt.confirmedIndex === undefined) return ask(state, doubt)
  if (Math.min(state.commitIndex, state.log.durableIndex) < doubt.confirmedIndex) return
  state.doubt = undefined
  state.out.event({ kind: 'trust-changed', trust: 'trusted' })
}

/** True: the answer was to the question of a node in doubt. */
export function takeConfirmation(state: RaftState, message: Extract<Message, { kind: 'read-index-reply' }>): boolean {
  const { doubt } = state
  if (doubt?.request?.id !== message.id) return false
  doubt.request = undefined
  if (!message.refused) doubt.confirmedIndex = message.index
  return true
}

function ask(state: RaftState, doubt: Doubt): void {
  if (!isFollowing(state.role) || state.now - doubt.sinceTick < state.electionTicks) return
  if (doubt.request !== undefined && state.now - doubt.request.askedAtTick < state.electionTicks) return
  doubt.request = { id: state.forwardedReads.newRequest(), askedAtTick: state.now }
  send(state, state.role.leader, { kind: 'read-index', term: state.term, id: doubt.request.id, afterLoss: true })
}

type AppendReply = Extract<Message, { kind: 'append-reply' }>

/**
 * On the leader: what an answer says of its sender's disk, before anything else is taken from it. False: the answer confirms nothing.
 * `retryAfter`: the last place where the sender's log can agree with this one.
 */
export function judgeAnswer(
  state: RaftState,
  leader: LeaderRole,
  answer: { readonly from: NodeId; readonly progress: Progress; readonly message: AppendReply; readonly retryAfter: number },
): boolean {
  const { from, progress, message, retryAfter } = answer
  // Sent before a loss that has been seen since.
  if (message.appendNumber < progress.firstValidNumber) return false
  const firstValidNumber = leader.appendNumber + 1
  if (!message.trusted && progress.standing !== 'untrusted') {
    progress.lost({ standing: 'untrusted', firstValidNumber, retryAfter })
    return false
  }
  if (provesLoss(progress, message)) {
    const acknowledgedIndex = progress.matchIndex
    progress.lost({ standing: message.trusted ? 'distrusted' : 'untrusted', firstValidNumber, retryAfter })
    state.out.event({ kind: 'member-lost-entries', id: from, acknowledgedIndex })
    send(state, from, { kind: 'distrust', term: state.term, acknowledgedIndex })
    return false
  }
  if (progress.standing === 'distrusted') send(state, from, { kind: 'distrust', term: state.term, acknowledgedIndex: progress.matchIndex })
  if (progress.standing === 'untrusted' && message.trusted) {
    progress.standing = 'trusted'
    leader.commitMayMove = true
  }
  return true
}

/** On the leader: a node in doubt asks what it must have again. Its word does not count until it is trusted again, and what it said before never again. */
export function takeDoubt(state: RaftState, leader: LeaderRole, from: NodeId): void {
  const progress = leader.followers.get(from)
  progress?.lost({ standing: 'untrusted', firstValidNumber: leader.appendNumber + 1, retryAfter: state.log.lastIndex })
}

/**
 * Refused was an append that was sent when the acknowledgement was already known: entries that a follower has acknowledged in a term stay in its log for that term, and then
 * neither the place of the last one can be refused, nor can the hint lie before it.
 */
function provesLoss(progress: Progress, message: AppendReply): boolean {
  if (message.accepted || message.appendNumber < progress.matchKnownFrom) return false
  return message.matchIndex <= progress.matchIndex || message.hintIndex < progress.matchIndex
}
