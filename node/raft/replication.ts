// The leader's side of replication: who gets which entries when, and what their answers mean.
import assert from 'node:assert/strict'
import { appendToLog } from './commit.ts'
import { makeEntry, type EntryKind } from './entry.ts'
import { bytesOf } from './log.ts'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import type { Progress } from './progress.ts'
import { majorityReached } from './quorum.ts'
import { send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'

/** Appends an entry of the leader's own; it goes out, to the disk and to the followers at the same time, at the end of the step. */
export function appendOwn(
  state: RaftState,
  leader: LeaderRole,
  own: { readonly kind: EntryKind; readonly payload: Uint8Array },
): { readonly index: number; readonly term: number } {
  const entry = makeEntry({ index: state.log.lastIndex + 1, term: state.term, kind: own.kind, payload: own.payload })
  appendToLog(state, [entry])
  leader.uncommitted.add(entry.bytes.length)
  return entry
}

/** Whether taking `bytes` more keeps the memory of this leader bounded while its quorum or its disk is away. A lone entry is always taken. */
export function hasRoom(state: RaftState, leader: LeaderRole, bytes: number): boolean {
  const waiting = Math.max(leader.uncommitted.total, state.log.tailBytes)
  return waiting === 0 || waiting + bytes <= state.limits.uncommittedBytesMax
}

export function takeAppendReply(state: RaftState, from: NodeId, message: Extract<Message, { kind: 'append-reply' }>): void {
  if (state.role.kind !== 'leader') return
  const progress = state.role.followers.get(from)
  if (progress === undefined) return
  progress.heardAtTick = state.now
  // Also a refusal confirms that the sender still follows this leader.
  progress.readSequence = Math.max(progress.readSequence, Math.min(message.readSequence, state.readSequence))
  if (!message.accepted) {
    const retryAfter = state.log.lastIndexOfTermAtMost(message.hintTerm, message.hintIndex)
    progress.refused({ refusedIndex: message.matchIndex, retryAfter })
  } else if (message.matchIndex <= state.log.lastIndex) {
    progress.accepted(message.matchIndex)
    state.role.commitMayMove = true
  }
}

/** Sends to every follower what it may get now. `readRound`: all of them must hear of a new read position. */
export function replicate(state: RaftState, leader: LeaderRole, due: { readonly readRound: boolean }): void {
  for (const [id, progress] of leader.followers) {
    let hasSent = false
    while (sendEntries(state, id, progress)) hasSent = true
    // News of the commit, or the first word to a member of whom nothing is known yet.
    const mustTell = progress.flow.kind === 'replicate' ? progress.commitTold < state.commitIndex : progress.canSend
    // The read round never rides on entries: their answer waits for the follower's disk, the answer to an empty append does not.
    if (due.readRound || (!hasSent && (leader.heartbeatDue || mustTell))) sendEmpty(state, id, progress)
  }
  leader.heartbeatDue = false
}

/** Voters heard of within an election timeout, this leader included, are still a majority (thesis §6.2). */
export function hasQuorumContact(state: RaftState, leader: LeaderRole): boolean {
  const isHeard = (id: NodeId): number => (id === state.id || isActive(state, leader.followers.get(id)) ? 1 : 0)
  return majorityReached(state.voters, isHeard) === 1
}

export function isActive(state: RaftState, progress: Progress | undefined): boolean {
  return progress !== undefined && state.now - progress.heardAtTick < state.electionTicks
}

function sendEntries(state: RaftState, id: NodeId, progress: Progress): boolean {
  if (!progress.canSend || progress.nextIndex > state.log.lastIndex) return false
  if (progress.nextIndex <= state.log.base.index) {
    progress.needSnapshot(state.log.base.index)
    state.out.event({ kind: 'snapshot-needed', id })
    return false
  }
  const from = progress.nextIndex
  const entries = state.log.read({ from, to: state.log.lastIndex, bytesMax: state.limits.appendBytesMax })
  assert(entries[0]?.index === from, 'a follower gets its next entry first')
  progress.sent({ lastIndex: from + entries.length - 1, bytes: bytesOf(entries) })
  sendAppend(state, id, { progress, prevLogIndex: from - 1, entries })
  return true
}

function sendEmpty(state: RaftState, id: NodeId, progress: Progress): void {
  // One who needs a snapshot is asked for the log's base: the answer tells when it has got there.
  const prevLogIndex = progress.flow.kind === 'snapshot' ? state.log.base.index : Math.max(progress.nextIndex - 1, state.log.base.index)
  if (progress.flow.kind === 'probe' && progress.canSend) progress.sent({ lastIndex: prevLogIndex, bytes: 0 })
  sendAppend(state, id, { progress, prevLogIndex, entries: [] })
}

function sendAppend(
  state: RaftState,
  id: NodeId,
  what: { readonly progress: Progress; readonly prevLogIndex: number; readonly entries: Extract<Message, { kind: 'append' }>['entries'] },
): void {
  const { prevLogIndex, entries } = what
  what.progress.commitTold = Math.min(state.commitIndex, prevLogIndex + entries.length)
  send(state, id, {
    kind: 'append',
    term: state.term,
    prevLogIndex,
    prevLogTerm: state.log.termAt(prevLogIndex),
    leaderCommit: state.commitIndex,
    readSequence: state.readSequence,
    entries,
  })
}
