// What the three endpoints do before anything else: read the body, and put every text before the gate.
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Statement } from '../command/command.ts'
import type { ApiParts } from './api-parts.ts'
import type { ApiRequest } from './exchange.ts'
import { parseStatements } from './request-statements.ts'

/** So long texts are judged until the loop has its turn. */
const turnMs = 20

export interface PreparedStatements {
  readonly statements: readonly Statement[]
  /** A request that only reads takes the read path, and may ask for the time or for random numbers, which must not enter the log. */
  readonly path: 'read' | 'write'
}

export async function prepareStatements(
  parts: ApiParts,
  request: ApiRequest,
  purpose: 'execute' | 'query' | 'request',
): Promise<Result<PreparedStatements, Refusal>> {
  const given = await readStatements(request, purpose)
  if (!given.ok) return given
  if (request.origin === 'client') parts.counts.statements(purpose, given.value.length)
  const path = purpose === 'query' || (purpose === 'request' && parts.reader.readsOnly(given.value)) ? 'read' : 'write'
  const statements: Statement[] = []
  let pauseAtMs = performance.now() + turnMs
  for (const statement of given.value) {
    // A body of thousands of texts must not keep everybody else waiting.
    if (performance.now() > pauseAtMs) {
      await new Promise((resolve) => setImmediate(resolve))
      pauseAtMs = performance.now() + turnMs
    }
    const judged = parts.judge(statement.sql, { for: path === 'read' ? 'query' : purpose })
    if (!judged.ok) return judged
    // Nothing but white space and comments is skipped, without an item in the results.
    if (judged.value.length > 0) statements.push(statement)
  }
  return ok({ statements, path })
}

/** The statements as they were sent, not yet judged. */
export async function readStatements(
  request: ApiRequest,
  purpose: 'execute' | 'query' | 'request',
): Promise<Result<readonly Statement[], Refusal>> {
  if (request.method === 'GET') {
    const sql = request.parameters.text('q')
    if (sql === undefined) return fail({ code: 'invalid_parameter', message: 'query parameter not set' })
    return ok([{ sql, parameters: { kind: 'positional', values: [] } }])
  }
  const body = await request.body()
  if (!body.ok) return body
  // /db/request takes JSON only.
  return parseStatements(body.value, purpose === 'request' ? 'application/json' : request.contentType)
}
