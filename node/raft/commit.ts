// What is committed, and what of it is given to the state machine.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import { Inflights } from './inflights.ts'
import { bytesOf } from './log.ts'
import { majorityReached } from './quorum.ts'
import type { RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'

/** While the state machine works on a batch the next one gathers, so apply batches by itself; more in flight would only take memory. */
const applyingBatchesMax = 2
const applyingBytesMax = 8 * 1024 * 1024
const committedBytesMax = 4 * 1024 * 1024

export function newApplying(): Inflights {
  return new Inflights({ messagesMax: applyingBatchesMax, bytesMax: applyingBytesMax })
}

/** Puts entries at the end of the log, replacing what stands at the first one's index and after it. */
export function appendToLog(state: RaftState, entries: readonly Entry[]): void {
  state.log.append(entries)
  state.membershipLog.appended(entries)
}

/** A leader counts itself only as far as its own disk has come, like everybody else. */
export function commitByCounting(state: RaftState, leader: LeaderRole): void {
  if (!leader.commitMayMove) return
  leader.commitMayMove = false
  const reached = majorityReached(state.voters, (id) =>
    id === state.id ? state.log.durableIndex : (leader.followers.get(id)?.countedIndex ?? 0),
  )
  // An entry of an older term is never committed by counting its copies (Raft §5.4.2, figure 8): a later leader could still replace it.
  if (reached <= state.commitIndex || state.log.termAt(reached) !== state.term) return
  commitTo(state, reached)
  leader.newsTicks = 0
  leader.uncommitted.commitTo(reached)
}

export function commitTo(state: RaftState, index: number): void {
  if (index <= state.commitIndex) return
  assert(index <= state.log.lastIndex, 'what is committed stands in the log')
  state.commitIndex = index
}

/**
 * Gives out what is committed and on this node's disk: were it applied before, a crash would leave a state machine that knows more than its log.
 * Memory stays bounded while the state machine is slow.
 */
export function handOutCommitted(state: RaftState): void {
  if (state.isStateLost) return
  const to = Math.min(state.commitIndex, state.log.durableIndex)
  if (to <= state.handedOutIndex || state.applying.full) return
  const entries = state.log.read({ from: state.handedOutIndex + 1, to, bytesMax: committedBytesMax })
  const last = entries.at(-1)
  assert(last !== undefined && last.index === state.handedOutIndex + entries.length, 'committed entries are given out without a gap')
  state.handedOutIndex = last.index
  state.applying.add({ lastIndex: last.index, bytes: bytesOf(entries) })
  state.out.committed(entries)
}
