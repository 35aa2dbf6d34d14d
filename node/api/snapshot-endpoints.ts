// POST /snapshot shortens this node's log now; POST /reap has nothing to do here, and says so in rqlite's words.
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, msLeft, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { indentJson } from './json-indent.ts'
import { replicaRefusal } from './replica-refusal.ts'

const posted = { methods: ['POST'], permissions: ['snapshot'], forwardable: false, alwaysServed: false } as const

export function snapshotEndpoints(parts: ApiParts): readonly Endpoint[] {
  return [
    { path: '/snapshot', ...posted, handle: (request) => snapshot(parts, request) },
    { path: '/reap', ...posted, handle: (request) => Promise.resolve(reap(request)) },
  ]
}

async function snapshot(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const trailingLogs = request.parameters.integer('trailing_logs')
  if (trailingLogs !== undefined && trailingLogs < 0) return refuse('invalid_parameter', 'trailing_logs is not a valid integer')
  if (parts.view.replica() === undefined) return refuse('not_ready', 'the node belongs to no cluster yet')
  // rqlite reads 0 as "not given".
  const trailingEntries = trailingLogs === 0 ? undefined : trailingLogs
  const compacted = await parts.compactor.compact({ trailingEntries, timeoutMs: msLeft(request) })
  if (!compacted.ok) {
    const refused = replicaRefusal(compacted.problem)
    return 'again' in refused ? refused.again : refused
  }
  return { status: compacted.value === 'nothing-new' ? 204 : 200, headers: {}, body: '' }
}

// rqlite merges its chain of incremental snapshots. Here there is no chain: the database itself is the snapshot, and copies for members that fell behind go by themselves.
function reap(request: ApiRequest): ApiReply {
  const json = JSON.stringify({ snapshots_reaped: 0, wals_checkpointed: 0 })
  return jsonReply(request.parameters.has('pretty') ? indentJson(json) : json)
}
