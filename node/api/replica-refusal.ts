// What the replica's problems mean to a client.
import type { Refusal } from '../../contract/refusal.ts'
import type { ReplicaProblem } from '../replica/replica-port.ts'
import { refuse, refuseWith } from './exchange.ts'
import { leaderNotFound, outcomeUnknown } from './leader-route.ts'
import type { Served } from './leader-route.ts'
import { nodeRemoved, stateDiverged } from './standing.ts'

/** `again` where nothing was appended and another node, or this one a moment later, may do it. */
export function replicaRefusal({ code }: ReplicaProblem): Served {
  switch (code) {
    case 'not_leader':
    case 'leader_unknown':
      return { again: leaderNotFound() }
    case 'transfer_in_progress':
      return { again: refuse('leader_unknown', 'leadership is being handed over; try again') }
    case 'overloaded':
    // The turnstile tries again by itself.
    case 'log_moved_on':
      return refuse('overloaded', 'too many writes are waiting to be committed; try again')
    case 'outcome_unknown':
      return outcomeUnknown()
    case 'deadline':
      return refuse('deadline', 'not answered within the timeout; nothing was changed')
    case 'closing':
      return refuse('not_ready', 'the node is shutting down; nothing was changed')
    case 'removed':
      return nodeRemoved()
    case 'diverged':
      return stateDiverged()
    case 'membership_change_pending':
      return { again: refuse('membership_change_pending', 'another change of the membership is under way; try again') }
    case 'membership_change_invalid':
      return refuse('transfer_failed', 'not a voter of this cluster')
  }
}

/** Of what went through the turnstile, which refuses by itself as well. */
export function turnstileRefusal(problem: ReplicaProblem | Refusal): Served {
  return 'message' in problem ? refuseWith(problem) : replicaRefusal(problem)
}
