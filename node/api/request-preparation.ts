// What the three endpoints do before anything else: read the body, and put every text before the gate. Both are work of this thread, in stretches (large-turns.ts).
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Statement } from '../command/command.ts'
import type { JudgeText } from '../command/gate-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { ApiRequest } from './exchange.ts'
import { statementsIn } from './request-statements.ts'
import { Stretches } from './stretches.ts'

/** A shorter text is judged in one go: that takes some milliseconds. */
const shortTextCharacters = 16 * 1024

const late = fail({ code: 'deadline', message: 'not answered within the timeout; nothing was changed' } as const)

export interface PreparedStatements {
  readonly statements: readonly Statement[]
  /** A request that only reads takes the read path, and may ask for the time or for random numbers, which must not enter the log. */
  readonly path: 'read' | 'write'
}

type Purpose = 'execute' | 'query' | 'request'

export async function prepareStatements(
  parts: ApiParts,
  request: ApiRequest,
  purpose: Purpose,
): Promise<Result<PreparedStatements, Refusal>> {
  const stretches = new Stretches(parts, request)
  const given = await readStatements(stretches, request, purpose)
  if (!given.ok) return given
  if (request.origin === 'client') parts.counts.statements(purpose, given.value.length)
  if (purpose !== 'execute') {
    const reads = await judgeEach(parts, stretches, given.value, { for: 'query' })
    if (reads.ok) return ok({ statements: reads.value, path: 'read' })
    if (purpose === 'query' || reads.problem.code === 'deadline') return reads
  }
  const writes = await judgeEach(parts, stretches, given.value, { for: purpose })
  return writes.ok ? ok({ statements: writes.value, path: 'write' }) : writes
}

/** Without those that are nothing but white space and comments: they are skipped, without an item in the results. */
async function judgeEach(
  parts: ApiParts,
  stretches: Stretches,
  given: readonly Statement[],
  options: { readonly for: Purpose },
): Promise<Result<readonly Statement[], Refusal>> {
  const statements: Statement[] = []
  stretches.goOn()
  for (const statement of given) {
    if (stretches.isOver() && (await stretches.next()) === 'late') return late
    const { sql } = statement
    const judged = sql.length <= shortTextCharacters ? parts.judge(sql, options) : await judgeLong(parts, stretches, sql, options)
    if (judged === 'late') return late
    if (!judged.ok) return judged
    if (judged.value.length > 0) statements.push(statement)
  }
  return ok(statements)
}

/** Of one long text, too, others have their turn between the statements. */
function judgeLong(
  parts: ApiParts,
  stretches: Stretches,
  sql: string,
  options: { readonly for: Purpose },
): Promise<ReturnType<JudgeText> | 'late'> {
  return stretches.carryOut(parts.judgeInSteps(sql, options))
}

/** The statements as they were sent, not yet judged. */
export async function readStatements(
  stretches: Stretches,
  request: ApiRequest,
  purpose: Purpose,
): Promise<Result<readonly Statement[], Refusal>> {
  if (request.method === 'GET') {
    const sql = request.parameters.text('q')
    if (sql === undefined) return fail({ code: 'invalid_parameter', message: 'query parameter not set' })
    if ((await stretches.begin(sql.length)) === 'late') return late
    return ok([{ sql, parameters: { kind: 'positional', values: [] } }])
  }
  const body = await request.body()
  if (!body.ok) return body
  if ((await stretches.begin(body.value.length)) === 'late') return late
  // /db/request takes JSON only.
  const read = await stretches.carryOut(statementsIn(body.value, purpose === 'request' ? 'application/json' : request.contentType))
  return read === 'late' ? late : read
}
