// Whoever reads this node's own database as a whole first lets it come so far as the cluster was when it was asked.
import type { ApiParts } from './api-parts.ts'
import { msLeft, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { leaderNotFound } from './leader-route.ts'
import { replicaRefusal } from './replica-refusal.ts'

/** Until this node has applied what was committed when it was asked; otherwise why not. */
export async function upToDate(parts: ApiParts, request: ApiRequest): Promise<ApiReply | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const seen = parts.leaderWatch.changes
    const barrier = await parts.view.replica()?.readBarrier({ timeoutMs: msLeft(request) })
    if (barrier?.ok === true) return undefined
    const refused = barrier === undefined ? { again: leaderNotFound() } : replicaRefusal(barrier.problem)
    if (!('again' in refused)) return refused
    const timeoutMs = msLeft(request)
    if (timeoutMs <= 0 || request.isAbandoned()) return refused.again
    const waited = await parts.leaderWatch.next(seen, { attempt, timeoutMs })
    if (waited === 'overloaded') return refuse('overloaded', 'too many requests are waiting for a leader; try again')
    if (waited === 'closing') return refuse('not_ready', 'the node is shutting down; nothing was changed')
  }
}
