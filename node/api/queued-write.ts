// `/db/execute?queue`: what the gate refuses is refused here and now; the rest is taken, answered, and written a moment later (write-queue.ts).
import { upkeepOf } from '../command/upkeep.ts'
import type { ApiParts } from './api-parts.ts'
import { jsonReply, msLeft, refuse, refuseQueued, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { inTime } from '../../runtime/in-time.ts'
import { indentJson } from './json-indent.ts'
import { leaderNotFound } from './leader-route.ts'
import { prepareStatements } from './request-preparation.ts'

/** `wait`: answered when it has been written, together with all that was queued before it. */
export async function queueWrite(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const { parameters, identity } = request
  if (!parameters.has('noleader') && parts.view.replica()?.status().leader === undefined) return leaderNotFound()
  // JSON only, whatever the content type says, as /db/request.
  const prepared = await prepareStatements(parts, { ...request, contentType: 'application/json' }, 'execute')
  const isMark = !prepared.ok && prepared.problem.code === 'no_statements' && parameters.has('wait')
  if (!prepared.ok && !isMark) return refuseQueued(prepared.problem)
  const body = await request.body()
  if (!body.ok) return refuseWith(body.problem)
  const given = prepared.ok ? prepared.value.statements : []
  const statements = given.length
  const queued = parts.writeQueue.add({
    identity,
    statementsJson: withinBrackets(body.value),
    statements,
    // One statement is all or nothing by itself.
    transaction: parameters.has('transaction') && statements > 1,
    isUpkeep: upkeepOf({ statements: given }) !== undefined,
  })
  if (!queued.ok) {
    return queued.problem === 'full'
      ? refuse('overloaded', 'the write queue is full; try again')
      : refuse('not_ready', 'the node is shutting down; nothing was changed')
  }
  const { sequenceNumber, ended } = queued.value
  const reply = (): ApiReply => queuedReply(request, sequenceNumber)
  if (!parameters.has('wait')) return reply()
  const end = await inTime(ended, msLeft(request))
  return end === 'late' ? refuse('queue_wait_timeout', 'queue wait timeout') : (end ?? reply())
}

/** In memory of its own: the bytes of a request may be a corner of something much larger. The body is a JSON list, so its outermost brackets are the first and the last. */
function withinBrackets(body: Uint8Array): Uint8Array {
  return body.slice(body.indexOf(0x5b) + 1, body.lastIndexOf(0x5d))
}

function queuedReply({ parameters, startedAtMs }: ApiRequest, sequenceNumber: number): ApiReply {
  const time = parameters.has('timings') ? `"time":${(performance.now() - startedAtMs) / 1000},` : ''
  const json = `{"results":[],${time}"sequence_number":${sequenceNumber}}`
  return jsonReply(parameters.has('pretty') ? indentJson(json) : json)
}
