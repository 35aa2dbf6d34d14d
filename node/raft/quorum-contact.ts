// On the leader: of whom it has heard lately, and whose word counts.
import type { NodeId } from './membership.ts'
import type { Progress } from './progress.ts'
import { majorityReached } from './quorum.ts'
import type { RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'

/** Voters heard of within the lease, this leader included, are still a majority (thesis §6.2). */
export function hasQuorumContact(state: RaftState, leader: LeaderRole): boolean {
  const isHeard = (id: NodeId): number => (id === state.id || isInLease(state, leader.followers.get(id)) ? 1 : 0)
  return majorityReached(state.voters, isHeard) === 1
}

function isInLease(state: RaftState, progress: Progress | undefined): boolean {
  return isCounted(state, progress) && state.now - progress.heardAtTick < state.leaseTicks
}

export function isActive(state: RaftState, progress: Progress | undefined): boolean {
  return progress !== undefined && state.now - progress.heardAtTick < state.electionTicks
}

/** Heard of, and its word counts. */
export function isCounted(state: RaftState, progress: Progress | undefined): progress is Progress {
  return isActive(state, progress) && progress?.trust === 'trusted'
}

/** The voter, other than this node, whose log is longest, of those that were heard lately. */
export function bestVoter(state: RaftState, leader: LeaderRole): NodeId | undefined {
  let best: { readonly id: NodeId; readonly matchIndex: number } | undefined
  for (const [id, progress] of leader.followers) {
    if (!state.voters.has(id) || !isCounted(state, progress)) continue
    if (best === undefined || progress.matchIndex > best.matchIndex) best = { id, matchIndex: progress.matchIndex }
  }
  return best?.id
}
