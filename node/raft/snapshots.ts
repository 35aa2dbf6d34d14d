// Snapshots as the follower sees them (Raft §7, figure 13): when it needs one, and what becomes of its log when one has been received.
import assert from 'node:assert/strict'
import { commitTo } from './commit.ts'
import type { NodeId } from './membership.ts'
import { adopt } from './membership-change.ts'
import type { Message } from './message.ts'
import type { SnapshotPoint } from './raft-port.ts'
import { isFollowing, send, sendWhenDurable, type RaftState } from './raft-state.ts'
import { becomeFollower } from './transitions.ts'

type InstallSnapshot = Extract<Message, { kind: 'install-snapshot' }>

/**
 * The leader's log begins only after its base. Where this log agrees with the base nothing is missing; otherwise a snapshot is needed, and the refusal says so.
 * Like every answer to a heartbeat it vouches only for what is on disk.
 */
export function takeInstallSnapshot(state: RaftState, from: NodeId, message: InstallSnapshot): void {
  assert(state.role.kind !== 'leader', `two leaders in term ${state.term}: ${state.id} and ${from}`)
  assert(!isFollowing(state.role) || state.role.leader === from, `two leaders in term ${state.term}`)
  becomeFollower(state, { term: state.term, leader: from })
  state.electionElapsed = 0
  const { baseIndex, baseTerm } = message
  const isAgreed = baseIndex <= state.commitIndex || state.log.matches(baseIndex, baseTerm)
  const { readSequence, appendNumber } = message
  const answer = { kind: 'append-reply', term: state.term, readSequence, appendNumber, trusted: state.doubt === undefined } as const
  if (!isAgreed) {
    state.wanted = { term: state.term, indexMin: baseIndex }
    const hintIndex = state.log.lastIndexOfTermAtMost(baseTerm, baseIndex)
    return send(state, from, { ...answer, accepted: false, matchIndex: baseIndex, hintIndex, hintTerm: state.log.termAt(hintIndex) })
  }
  // A leader compacts only what it has applied, so its base is committed.
  commitTo(state, baseIndex)
  // Whatever is committed stands in the leader's log, too.
  const matchIndex = Math.min(state.commitIndex, state.log.durableIndex)
  sendWhenDurable(state, from, { message: { ...answer, accepted: true, matchIndex, hintIndex: 0, hintTerm: 0 }, logIndex: 0 })
}

/** The state machine is worthless; what is committed goes to it no more until a snapshot has replaced it. */
export function loseState(state: RaftState): void {
  state.isStateLost = true
}

/** A snapshot lies ready. It replaces the state machine, and the log too, unless the log holds what the snapshot ends with (figure 13, steps 6 to 8). */
export function takeStaged(state: RaftState, point: SnapshotPoint): void {
  if (!isUseful(state, point)) return
  const isKept = state.log.matches(point.index, point.term)
  // A power failure would leave a state that is ahead of its log: whoever gives it asks first (Raft.isWriting).
  if (isKept && state.log.isWriting(point.index)) return
  // What this node leads with is at least as new as anything committed in its term; a snapshot of a later one is for the follower that it will be.
  if (!isKept && state.role.kind === 'leader') return
  assert(isKept || point.index > state.commitIndex, 'a snapshot agrees with what is known to be committed')
  if (!isKept) {
    state.out.forgetAfter(point.index)
    state.log.reset({ index: point.index, term: point.term }, { durableBefore: state.appliedIndex })
  }
  state.membershipLog.installed(point.index, { reset: !isKept })
  commitTo(state, point.index)
  state.applying.freeTo(state.handedOutIndex)
  state.appliedIndex = point.index
  state.handedOutIndex = point.index
  state.isStateLost = false
  adopt(state, [point.membership])
  state.out.install(point)
}

/** Said again with each step while it is so. */
export function settleWanted(state: RaftState): void {
  const { role, wanted } = state
  if (wanted !== undefined && (wanted.term !== state.term || state.commitIndex >= wanted.indexMin)) state.wanted = undefined
  if (!isFollowing(role)) return
  const indexMin = Math.max(state.wanted?.indexMin ?? 0, state.isStateLost ? state.appliedIndex : 0)
  if (state.wanted !== undefined || state.isStateLost) state.out.fetchSnapshot({ from: role.leader, indexMin })
}

function isUseful(state: RaftState, point: SnapshotPoint): boolean {
  if (state.isStateLost) return point.index >= state.appliedIndex
  if (point.index <= state.appliedIndex) return false
  assert(state.handedOutIndex === state.appliedIndex, 'a snapshot is given only while the state machine has nothing under way')
  return true
}
