// Whether a node's disk can be believed (see Trust in raft-port.ts). Raft rests on disks that forget nothing. A node whose disk was damaged or put back in time may have
// lost entries that it had acknowledged and, with them, a term and a vote. Until it has everything again that can have been committed with its help,
//   - it neither votes nor stands, and tells the leader with every answer that it is not to be counted;
//   - it asks the leader for a read index. The majority that confirms it does so without this node and after its loss, so the index is not below anything that
//     was committed with the help of what was lost, and no newer leader that this node may have voted for was known to that majority;
//   - when its durable and committed log has reached that index, it is trusted again.
// It waits for two election timeouts before it asks: votes and acknowledgements of the time before the loss may still be on their way, and no candidate that counts such a
// vote stands for longer. One timeout is not enough for a candidate to whom leadership is being handed over: those who hear from a leader answer it, too.
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { isFollowing, leaderOf, send, type RaftState } from './raft-state.ts'
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

/** The leader's answer to the question of a node in doubt. False: it is to another question. */
export function takeConfirmation(state: RaftState, from: NodeId, message: Extract<Message, { kind: 'read-index-reply' }>): boolean {
  const { doubt } = state
  if (doubt?.request?.id !== message.id || leaderOf(state) !== from) return false
  doubt.request = undefined
  if (!message.refused) doubt.confirmedIndex = message.index
  return true
}

function ask(state: RaftState, doubt: Doubt): void {
  if (!isFollowing(state.role) || state.now - doubt.sinceTick < 2 * state.electionTicks) return
  if (doubt.request !== undefined && state.now - doubt.request.askedAtTick < state.electionTicks) return
  doubt.request = { id: state.forwardedReads.newRequest(), askedAtTick: state.now }
  send(state, state.role.leader, { kind: 'read-index', term: state.term, id: doubt.request.id, afterLoss: true })
}
