// What the replica's problems mean to a client.
import type { ReplicaProblem } from '../replica/replica-port.ts'
import { refuse } from './exchange.ts'
import type { ApiReply } from './exchange.ts'
import { leaderNotFound, outcomeUnknown } from './leader-route.ts'

/** `moved`: nothing was appended and another node may lead by now. */
export function replicaRefusal({ code }: ReplicaProblem): ApiReply | 'moved' {
  switch (code) {
    case 'not_leader':
      return 'moved'
    case 'leader_unknown':
      return leaderNotFound()
    case 'transfer_in_progress':
      return refuse('overloaded', 'leadership is being handed over; try again')
    case 'overloaded':
      return refuse('overloaded', 'too many writes are waiting to be committed; try again')
    case 'outcome_unknown':
      return outcomeUnknown()
    case 'deadline':
      return refuse('deadline', 'not answered within the timeout; nothing was changed')
    case 'closing':
      return refuse('not_ready', 'the node is shutting down; nothing was changed')
    case 'removed':
      return refuse('not_ready', 'this node has been removed from its cluster; ask another one')
    case 'diverged':
      return refuse('not_ready', 'this node’s data differs from its cluster’s and is being replaced; ask another one')
    case 'membership_change_pending':
      return refuse('transfer_failed', 'a change of the membership is under way; try again')
    case 'membership_change_invalid':
      return refuse('transfer_failed', 'not a voter of this cluster')
  }
}
