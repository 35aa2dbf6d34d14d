// The reply of the three endpoints that take statements.
import { refusalHeader } from '../../contract/refusal.ts'
import type { StatementResult } from '../command/command.ts'
import type { ApiParts } from './api-parts.ts'
import { jsonReply, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { servedByHeader } from './leader-route.ts'
import type { Read } from './reader.ts'
import { resultsJson } from './results-json.ts'
import { Stretches } from './stretches.ts'

/** `raftIndex`: of the entry, or of the snapshot that was read. */
export async function statementReply(
  parts: ApiParts,
  request: ApiRequest,
  answer: {
    readonly results: readonly StatementResult[]
    readonly raftIndex: number
    readonly changed: boolean
    /** Why one of the statements was ended; its result says it in words. */
    readonly ended?: Read['ended']
  },
): Promise<ApiReply> {
  const { parameters } = request
  const writing = resultsJson(
    {
      results: answer.results,
      seconds: (performance.now() - request.startedAtMs) / 1000,
      raftIndex: parameters.has('raft_index') ? answer.raftIndex : undefined,
    },
    {
      associative: parameters.has('associative'),
      blobArray: parameters.has('blob_array'),
      timings: parameters.has('timings'),
      pretty: parameters.has('pretty'),
      isQuery: request.path.startsWith('/db/query'),
      qualifyColumns: parameters.has('qualify_columns'),
      bytesMax: parts.limits.resultBytesMax,
    },
  )
  const json = await new Stretches(parts, request).finish(writing)
  if (json === undefined) {
    const done = answer.changed ? 'the statements were carried out, but ' : ''
    return refuse('result_too_large', `${done}the result is larger than ${parts.limits.resultBytesMax} bytes; ask for fewer rows`)
  }
  const reply = jsonReply(json, {
    [servedByHeader]: apiAddress(parts),
    ...(answer.ended === undefined ? {} : { [refusalHeader]: answer.ended }),
  })
  return answer.ended === undefined ? reply : { ...reply, refusal: { code: answer.ended, message: 'a statement was ended at its limit' } }
}

/** Own advertised HTTP address, `host:port` without the scheme, as rqlite shows it. */
export function apiAddress(parts: ApiParts): string {
  return parts.view.facts.apiUrl.replace(/^https?:\/\//, '')
}
