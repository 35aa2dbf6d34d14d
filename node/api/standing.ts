// A node that was removed, or whose state differs from the cluster's, serves nothing of its own: it says so to whoever asks.
import type { ApiParts } from './api-parts.ts'
import { refuse } from './exchange.ts'
import type { ApiReply } from './exchange.ts'

/** Undefined: all is well, or the node belongs to no cluster yet. */
export function standingRefusal({ view }: Pick<ApiParts, 'view'>): ApiReply | undefined {
  switch (view.replica()?.standing()) {
    case 'removed':
      return nodeRemoved()
    case 'diverged':
      return stateDiverged()
    case 'member':
    case undefined:
      return undefined
  }
}

export function nodeRemoved(): ApiReply {
  return refuse('node_removed', 'this node was removed from the cluster; nothing was changed')
}

export function stateDiverged(): ApiReply {
  return refuse('state_diverged', 'the data of this node differs from the cluster and is being replaced; nothing was changed')
}
