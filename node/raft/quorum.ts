// What a majority of voters has said, as pure functions over a set. Keyed by id, so that a repeated answer never counts twice, and asked only of voters,
// so that the answer of a learner or a stranger never counts at all. Joint membership will ask both of its sets and take the lesser answer.
import type { NodeId } from './membership.ts'

export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1
}

/** The highest number that a majority of voters has reached (Raft figure 2: "a majority of matchIndex[i] >= N"); 0 without voters. */
export function majorityReached(voters: ReadonlySet<NodeId>, reached: (id: NodeId) => number): number {
  if (voters.size === 0) return 0
  const descending = Array.from(voters, reached).sort((a, b) => b - a)
  return descending[majorityOf(voters.size) - 1] ?? 0
}

export type VoteResult = 'won' | 'lost' | 'pending'

/** `lost` as soon as a majority can no longer be reached; a set without voters never wins. */
export function voteResult(voters: ReadonlySet<NodeId>, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  let granted = 0
  let refused = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === true) granted += 1
    if (vote === false) refused += 1
  }
  const needed = majorityOf(voters.size)
  if (granted >= needed) return 'won'
  return refused > voters.size - needed ? 'lost' : 'pending'
}
