// Reads at rqlite's levels of consistency, cheapest first. `strong` goes through the log in rqlite; here it is a linearizable read on the leader, which promises the
// same to the client and costs one round of heartbeats instead of an entry.
import type { Statement, StatementResult } from '../command/command.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { ApiParts } from './api-parts.ts'
import { clientOf, msLeft, refuse, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { atLeader } from './leader-route.ts'
import type { Served } from './leader-route.ts'
import { replicaRefusal } from './replica-refusal.ts'
import { statementReply } from './statement-reply.ts'
import type { Read, ReadProblem } from './reader.ts'
import type { Result } from '../../runtime/result.ts'

const linearizableTimeoutMs = 10_000

export type Level = 'none' | 'weak' | 'linearizable'

/** Unknown words mean weak, as in rqlite. `auto`: a member without a vote answers for itself, others as weak. */
export function levelOf(parts: ApiParts, request: ApiRequest): Level {
  const level = request.parameters.text('level')
  if (level === 'none') return 'none'
  if (level === 'linearizable' || level === 'strong') return 'linearizable'
  if (level === 'auto' && parts.view.replica()?.status().role === 'learner') return 'none'
  return 'weak'
}

export function readAt(
  parts: ApiParts,
  request: ApiRequest,
  read: { readonly level: Level; readonly statements: readonly Statement[]; readonly name: 'query' | 'Request' },
): Promise<ApiReply> {
  const { statements } = read
  if (read.level === 'none') return readHere(parts, request, statements)
  return atLeader(parts, request, {
    name: read.name,
    changes: false,
    ...(read.level === 'weak' ? {} : { waitsUntilMs: request.startedAtMs + barrierMsMax(request) }),
    serve: (replica) =>
      read.level === 'weak' ? answer(parts, request, statements, 0) : readLinearizable(parts, request, statements, replica),
  })
}

async function readHere(parts: ApiParts, request: ApiRequest, statements: readonly Statement[]): Promise<ApiReply> {
  const replica = parts.view.replica()
  if (replica === undefined) return refuse('not_ready', 'the node belongs to no cluster yet')
  const freshnessMs = request.parameters.durationMs('freshness') ?? 0
  if (freshnessMs === 0 || replica.leads()) return answer(parts, request, statements, 0)
  if (replica.leaderContactAgeMs() > freshnessMs) return stale()
  if (!request.parameters.has('freshness_strict')) return answer(parts, request, statements, 0)
  // Strict: what this node knows to be committed must be in the answer, and it has as long as the client allows the data to be old.
  const index = replica.status().commitIndex
  const applied = await replica.whenApplied(index, { timeoutMs: Math.min(freshnessMs, msLeft(request)) })
  return applied.ok ? answer(parts, request, statements, index) : stale()
}

function stale(): ApiReply {
  return refuse('stale_read', 'stale read')
}

async function readLinearizable(parts: ApiParts, request: ApiRequest, statements: readonly Statement[], replica: Replica): Promise<Served> {
  const timeoutMs = Math.min(msLeft(request), barrierMsMax(request))
  const barrier = await replica.readBarrier({ timeoutMs })
  if (barrier.ok) return answer(parts, request, statements, barrier.value)
  return replicaRefusal(barrier.problem)
}

function barrierMsMax(request: ApiRequest): number {
  return request.parameters.durationMs('linearizable_timeout') ?? linearizableTimeoutMs
}

async function answer(parts: ApiParts, request: ApiRequest, statements: readonly Statement[], appliedIndexMin: number): Promise<ApiReply> {
  const asked = request.parameters.durationMs('db_timeout')
  const statementTimeoutMs = asked === 0 ? undefined : asked
  const read = await withTimeout(
    parts.reader.query(statements, {
      transaction: request.parameters.has('transaction'),
      appliedIndexMin,
      ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
      timeoutMs: msLeft(request),
      client: clientOf(request.identity),
      gate: 'passed',
      isAbandoned: request.isAbandoned,
    }),
    msLeft(request),
  )
  if (read === 'timeout') return refuse('deadline', 'not answered within the timeout; nothing was changed')
  if (!read.ok) return refuseWith(read.problem)
  const results = read.value.results.map((result) => overdue(result, statementTimeoutMs))
  return statementReply(parts, request, { results, raftIndex: read.value.appliedIndex, changed: false, ended: read.value.ended })
}

// Statements that are read in place are not interrupted; the client must not get results from beyond its limit now and then.
function overdue(result: StatementResult, statementTimeoutMs: number | undefined): StatementResult {
  if (statementTimeoutMs === undefined || statementTimeoutMs === 0 || result.seconds * 1000 <= statementTimeoutMs) return result
  return { kind: 'error', message: 'query timeout', seconds: result.seconds }
}

async function withTimeout(read: Promise<Result<Read, ReadProblem>>, timeoutMs: number): Promise<Result<Read, ReadProblem> | 'timeout'> {
  // Most reads are answered by the call itself: no timer for those.
  const atOnce = await Promise.race([read, Promise.resolve(undefined)])
  if (atOnce !== undefined) return atOnce
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), Math.min(timeoutMs, 2 ** 31 - 1))
  })
  try {
    return await Promise.race([read, timeout])
  } finally {
    clearTimeout(timer)
  }
}
