// Carries out what was queued, exactly as if its users had sent it now: the same gate, the same way to the leader, the same permissions, checked anew. And reads from the
// answer whether it was done.
import type { RefusalCode } from '../../contract/refusal.ts'
import { ok } from '../../runtime/result.ts'
import type { ApiParts } from './api-parts.ts'
import { inResults, refuse, streamOf } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { outcomeUnknown } from './leader-route.ts'
import { parseRequestParameters } from './request-parameters.ts'
import { standingRefusal } from './standing.ts'
import { carryOut } from './statement-endpoints.ts'
import type { QueuedGroup, Sent } from './write-queue.ts'

// One try: a leader is waited for so long, an answer as well. rqlite's default for a client's own request.
const attemptMs = 30_000
// Of an answer in which errors are counted. Without RETURNING 128 results have a few thousand; reading more would only cost time.
const countedBytesMax = 1024 * 1024

/** What a refusal says about a write. Who adds a code says it here: a wrong word loses a write, or does one twice. */
const meanings = {
  permission_denied: 'refused',
  credentials_locked_out: 'refused',
  cross_site_request: 'refused',
  method_not_allowed: 'refused',
  not_found: 'refused',
  invalid_parameter: 'refused',
  invalid_json: 'refused',
  invalid_request: 'refused',
  no_statements: 'refused',
  unsupported_parameter_type: 'refused',
  body_too_large: 'refused',
  url_too_long: 'refused',
  headers_too_large: 'refused',
  request_timeout: 'refused',
  queue_wait_timeout: 'refused',
  not_supported_yet: 'refused',
  file_refused: 'refused',
  backup_refused: 'refused',
  load_replaced: 'refused',
  database_not_empty: 'refused',
  no_space: 'refused',
  backup_failed: 'refused',
  not_single_node: 'refused',
  leader_unknown: 'again',
  not_ready: 'again',
  // It will never be a member again.
  node_removed: 'refused',
  // It is being mended.
  state_diverged: 'again',
  overloaded: 'again',
  outcome_unknown: 'unknown',
  deadline: 'again',
  forward_failed: 'again',
  transfer_failed: 'refused',
  membership_change_pending: 'again',
  last_voter: 'refused',
  stale_read: 'refused',
  statement_refused: 'refused',
  statement_not_deterministic: 'refused',
  // What a write says when it was carried out and only its rows are too many.
  result_too_large: 'written',
  statement_timeout: 'refused',
  statement_out_of_memory: 'refused',
  write_too_large: 'refused',
  // Others in the queue do not wait for it.
  vacuum_too_soon: 'refused',
  rehearsal_unavailable: 'again',
  internal: 'unknown',
} as const satisfies Record<RefusalCode, Sent['kind']>

export async function sendQueued(parts: ApiParts, group: QueuedGroup): Promise<Sent> {
  // A file that was changed meanwhile counts here as well; where another node leads, that node asks its own.
  if (!parts.access.mayDo(group.identity, ['execute'])) {
    return { kind: 'refused', reply: refuse('permission_denied', 'permission denied') }
  }
  const standing = standingRefusal(parts)
  if (standing !== undefined) return read(standing)
  try {
    return read(await carryOut(parts, requestOf(group), 'execute'))
  } catch (err) {
    // A fault of ours, as in api-service.ts: the queue must not stand still for it, and what had been done by then nobody knows.
    parts.logger.error({ part: 'queue', err }, 'queued writes failed')
    return { kind: 'unknown', reply: inResults(outcomeUnknown()) }
  }
}

function requestOf({ identity, statementsJson, transaction }: QueuedGroup): ApiRequest {
  const query = transaction ? 'transaction' : ''
  const parameters = parseRequestParameters(query)
  if (!parameters.ok) throw new Error(parameters.problem.message)
  const body = joined(statementsJson)
  const startedAtMs = performance.now()
  return {
    origin: 'queue',
    identity,
    method: 'POST',
    path: '/db/execute',
    query,
    parameters: parameters.value,
    contentType: 'application/json',
    body: () => Promise.resolve(ok(body)),
    stream: () => streamOf(body),
    isAbandoned: () => false,
    startedAtMs,
    deadlineAtMs: startedAtMs + attemptMs,
  }
}

/** One JSON list of all statements, in the users' own bytes: whatever they mean, they mean it to the leader as well. */
function joined(statementsJson: readonly Uint8Array[]): Uint8Array {
  const parts = statementsJson.flatMap((json, at) => [Buffer.from(at === 0 ? '[' : ','), json])
  return Buffer.concat([...parts, Buffer.from(']')])
}

function read(reply: ApiReply): Sent {
  const code = reply.refusal?.code
  // A status without a code that is known comes from a leader of another version.
  const kind = code !== undefined ? meanings[code] : reply.status === 200 ? 'written' : 'unknown'
  return kind === 'written' ? { kind, statementErrors: code === undefined ? errorsIn(reply.body) : 0 } : { kind, reply }
}

function errorsIn(body: string | Uint8Array): number {
  if (body.length > countedBytesMax) return 0
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body)
  if (!text.includes('"error":')) return 0
  const { results }: { results: readonly object[] } = JSON.parse(text) // statement-reply.ts wrote it, here or on the leader
  return results.filter((result) => 'error' in result).length
}
