// The follower's side of replication (Raft figure 2, AppendEntries RPC, receiver implementation).
import assert from 'node:assert/strict'
import { appendToLog, commitTo } from './commit.ts'
import type { Entry } from './entry.ts'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { isFollowing, send, sendWhenDurable, type RaftState } from './raft-state.ts'
import { becomeFollower } from './transitions.ts'

type Append = Extract<Message, { kind: 'append' }>
type InstallSnapshot = Extract<Message, { kind: 'install-snapshot' }>

/** An append of this node's term: its sender won the election of that term, so it is the leader (Raft §5.2). */
export function takeAppend(state: RaftState, from: NodeId, message: Append): void {
  assert(state.role.kind !== 'leader', `two leaders in term ${state.term}: ${state.id} and ${from}`)
  assert(!isFollowing(state.role) || state.role.leader === from, `two leaders in term ${state.term}`)
  if (!isContiguous(message)) return
  becomeFollower(state, { term: state.term, leader: from })
  state.electionElapsed = 0
  // What a snapshot has replaced is committed, so it agrees with every leader's log.
  const isBeforeBase = message.prevLogIndex < state.log.base.index
  if (!isBeforeBase && !state.log.matches(message.prevLogIndex, message.prevLogTerm)) return refuse(state, from, message)
  appendNew(state, isBeforeBase ? message.entries.filter((entry) => entry.index > state.log.base.index) : message.entries)
  const lastNewIndex = message.prevLogIndex + message.entries.length
  // Only up to the last entry that this message has checked: what stands behind it in this log may be left over from another leader.
  commitTo(state, Math.min(message.leaderCommit, lastNewIndex))
  accept(state, from, { message, lastNewIndex })
}

/** The sender is of an older term: it learns of the newer one and steps down (Raft §5.1). */
export function refuseOld(state: RaftState, from: NodeId, message: Append | InstallSnapshot): void {
  send(state, from, {
    kind: 'append-reply',
    term: state.term,
    accepted: false,
    matchIndex: 0,
    hintIndex: 0,
    hintTerm: 0,
    readSequence: 0,
    appendNumber: message.appendNumber,
    trusted: state.doubt === undefined,
  })
}

// Entries are removed only where they conflict: a delayed message that says less than this log holds removes nothing.
function appendNew(state: RaftState, entries: readonly Entry[]): void {
  const firstNew = entries.findIndex((entry) => entry.index > state.log.lastIndex || state.log.termAt(entry.index) !== entry.term)
  if (firstNew === -1) return
  const added = firstNew === 0 ? entries : entries.slice(firstNew)
  assert((added[0]?.index ?? 0) > state.commitIndex, 'a committed entry is never replaced')
  appendToLog(state, added)
}

function accept(state: RaftState, from: NodeId, appended: { readonly message: Append; readonly lastNewIndex: number }): void {
  const isHeartbeat = appended.message.entries.length === 0
  // A heartbeat is answered without waiting for entries that are still being written; it then vouches only for what is on disk.
  const matchIndex = isHeartbeat ? Math.min(appended.lastNewIndex, state.log.durableIndex) : appended.lastNewIndex
  const message = {
    kind: 'append-reply',
    term: state.term,
    accepted: true,
    matchIndex,
    hintIndex: 0,
    hintTerm: 0,
    readSequence: appended.message.readSequence,
    appendNumber: appended.message.appendNumber,
    trusted: state.doubt === undefined,
  } as const
  sendWhenDurable(state, from, { message, logIndex: isHeartbeat ? 0 : matchIndex })
}

// The hint skips whole terms: the leader need not probe where this log's terms are all above the one it asked for (Raft §5.3).
function refuse(state: RaftState, from: NodeId, message: Append): void {
  const hintIndex = state.log.lastIndexOfTermAtMost(message.prevLogTerm, message.prevLogIndex)
  send(state, from, {
    kind: 'append-reply',
    term: state.term,
    accepted: false,
    matchIndex: message.prevLogIndex,
    hintIndex,
    hintTerm: state.log.termAt(hintIndex),
    readSequence: message.readSequence,
    appendNumber: message.appendNumber,
    trusted: state.doubt === undefined,
  })
}

function isContiguous(message: Append): boolean {
  let term = message.prevLogTerm
  return message.entries.every((entry, position) => {
    const fits = entry.index === message.prevLogIndex + position + 1 && entry.term >= term && entry.term <= message.term
    term = entry.term
    return fits
  })
}
