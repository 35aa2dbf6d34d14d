// The leader's side of replication: who gets which entries when, and what their answers mean.
import assert from 'node:assert/strict'
import { appendToLog } from './commit.ts'
import { tookCommit } from './departure.ts'
import { makeEntry, type EntryKind } from './entry.ts'
import { bytesOf } from './log.ts'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import type { Progress } from './progress.ts'
import { send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'
import { judgeAnswer } from './trust.ts'

interface Follower {
  readonly id: NodeId
  readonly progress: Progress
}

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
  // Place 0 is in every log. So this refuses an append of an earlier term, in which this node led too, and says nothing about the log of now.
  if (!message.accepted && message.matchIndex === 0) return
  const retryAfter = message.accepted ? message.matchIndex : state.log.lastIndexOfTermAtMost(message.hintTerm, message.hintIndex)
  // Nobody holds what this leader does not: it is not for this log.
  if (retryAfter > state.log.lastIndex) return
  if (!judgeAnswer(state, state.role, { from, progress, message, retryAfter })) return
  // Also a refusal confirms that the sender still follows this leader.
  progress.readSequence = Math.max(progress.readSequence, Math.min(message.readSequence, state.readSequence))
  if (!message.accepted) return progress.refused({ refusedIndex: message.matchIndex, retryAfter })
  if (message.matchIndex > progress.matchIndex) progress.matchKnownFrom = state.role.appendNumber + 1
  progress.accepted(message.matchIndex)
  state.role.commitMayMove = true
  tookCommit(state.role, { from, message })
}

/** Sends to every follower what it may get now. `readRound`: all of them must hear of a new read position. */
export function replicate(state: RaftState, leader: LeaderRole, due: { readonly readRound: boolean }): void {
  const isNewsDue = leader.newsTicks >= state.limits.commitNewsTicks
  for (const [id, progress] of leader.followers) {
    const isNew = needsSnapshot(state, id, progress)
    if (progress.flow.kind === 'snapshot') {
      if (isNew || due.readRound || leader.heartbeatDue) sendInstallSnapshot(state, leader, { id, progress })
      continue
    }
    let hasSent = false
    while (sendEntries(state, leader, { id, progress })) hasSent = true
    // News of the commit, or the first word to a member of whom nothing is known yet.
    const mustTell = progress.flow.kind === 'replicate' ? isNewsDue && progress.commitTold < state.commitIndex : progress.canSend
    // The read round never rides on entries: their answer waits for the follower's disk, the answer to an empty append does not.
    if (due.readRound || (!hasSent && (leader.heartbeatDue || mustTell))) sendEmpty(state, leader, { id, progress })
  }
  leader.heartbeatDue = false
}

/** A last word to a member that has just been removed: with the commit index it can apply its removal, and will trouble nobody (thesis §4.2.3). Best effort. */
export function sayFarewell(state: RaftState, leader: LeaderRole, id: NodeId): void {
  const progress = leader.followers.get(id)
  // The log may have been compacted since this follower was last looked at: then there is no place to name that it could check.
  const isNameable = progress !== undefined && progress.nextIndex > state.log.base.index
  if (isNameable && progress.flow.kind === 'replicate') sendEmpty(state, leader, { id, progress })
}

/** The log's base may have moved past what this follower needs next at any time. True: it has just now been found out. */
function needsSnapshot(state: RaftState, id: NodeId, progress: Progress): boolean {
  if (progress.flow.kind === 'snapshot' || progress.nextIndex > state.log.base.index) return false
  progress.needSnapshot(state.log.base.index)
  state.out.event({ kind: 'snapshot-needed', id })
  return true
}

/** Tells the newest base: when the follower has reached that, the log has all that it needs then. */
function sendInstallSnapshot(state: RaftState, leader: LeaderRole, to: Follower): void {
  const { base } = state.log
  to.progress.needSnapshot(base.index)
  send(state, to.id, {
    kind: 'install-snapshot',
    term: state.term,
    baseIndex: base.index,
    baseTerm: base.term,
    readSequence: state.readSequence,
    appendNumber: nextNumber(leader),
  })
}

function sendEntries(state: RaftState, leader: LeaderRole, to: Follower): boolean {
  const { progress } = to
  if (!progress.canSend || progress.nextIndex > state.log.lastIndex) return false
  const from = progress.nextIndex
  const entries = state.log.read({ from, to: state.log.lastIndex, bytesMax: state.limits.appendBytesMax })
  assert(entries[0]?.index === from, 'a follower gets its next entry first')
  progress.sent({ lastIndex: from + entries.length - 1, bytes: bytesOf(entries) })
  sendAppend(state, leader, { ...to, prevLogIndex: from - 1, entries })
  return true
}

function sendEmpty(state: RaftState, leader: LeaderRole, to: Follower): void {
  const { progress } = to
  const prevLogIndex = progress.nextIndex - 1
  if (progress.flow.kind === 'probe' && progress.canSend) progress.sent({ lastIndex: prevLogIndex, bytes: 0 })
  sendAppend(state, leader, { ...to, prevLogIndex, entries: [] })
}

function sendAppend(
  state: RaftState,
  leader: LeaderRole,
  what: Follower & { readonly prevLogIndex: number; readonly entries: Extract<Message, { kind: 'append' }>['entries'] },
): void {
  const { prevLogIndex, entries } = what
  what.progress.commitTold = Math.min(state.commitIndex, prevLogIndex + entries.length)
  send(state, what.id, {
    kind: 'append',
    term: state.term,
    prevLogIndex,
    prevLogTerm: state.log.termAt(prevLogIndex),
    leaderCommit: state.commitIndex,
    readSequence: state.readSequence,
    appendNumber: nextNumber(leader),
    entries,
  })
}

function nextNumber(leader: LeaderRole): number {
  leader.appendNumber += 1
  return leader.appendNumber
}
