// Whose word a leader believes: what the answers of its followers say of their disks. The other side is doubt.ts.
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import type { Progress } from './progress.ts'
import { send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'

type AppendReply = Extract<Message, { kind: 'append-reply' }>

/**
 * What an answer says of its sender's disk, before anything else is taken from it. False: the answer confirms nothing.
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
  if (!message.trusted && progress.trust !== 'untrusted') {
    progress.lost({ trust: 'untrusted', firstValidNumber, retryAfter })
    return false
  }
  if (provesLoss(progress, message)) {
    const acknowledgedIndex = progress.matchIndex
    progress.lost({ trust: message.trusted ? 'distrusted' : 'untrusted', firstValidNumber, retryAfter })
    state.out.event({ kind: 'member-lost-entries', id: from, acknowledgedIndex })
    send(state, from, { kind: 'distrust', term: state.term, acknowledgedIndex })
    return false
  }
  if (progress.trust === 'distrusted') send(state, from, { kind: 'distrust', term: state.term, acknowledgedIndex: progress.matchIndex })
  if (progress.trust === 'untrusted' && message.trusted) {
    progress.trust = 'trusted'
    leader.commitMayMove = true
  }
  return true
}

/** A node in doubt asks what it must have again. Its word does not count until it is trusted again, and what it said before never again. */
export function takeDoubt(state: RaftState, leader: LeaderRole, from: NodeId): void {
  const progress = leader.followers.get(from)
  progress?.lost({ trust: 'untrusted', firstValidNumber: leader.appendNumber + 1, retryAfter: state.log.lastIndex })
}

/**
 * Refused was an append that was sent when the acknowledgement was already known: entries that a follower has acknowledged in a term stay in its log for that term, and then
 * neither the place of the last one can be refused, nor can the hint lie before it.
 */
function provesLoss(progress: Progress, message: AppendReply): boolean {
  if (message.accepted || message.appendNumber < progress.matchKnownFrom) return false
  return message.matchIndex <= progress.matchIndex || message.hintIndex < progress.matchIndex
}
