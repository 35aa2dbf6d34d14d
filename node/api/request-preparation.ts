// What the three endpoints do before anything else: read the body, and put every text before the gate. Both are work of this thread, in stretches (large-turns.ts).
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Statement } from '../command/command.ts'
import type { JudgeText } from '../command/gate-port.ts'
import type { Steps } from '../command/steps.ts'
import type { ApiParts } from './api-parts.ts'
import type { ApiRequest } from './exchange.ts'
import { clientOf, msLeft } from './exchange.ts'
import { smallBytesMax, turnBytesMax } from './large-turns.ts'
import { statementsIn } from './request-statements.ts'

/** So long one body is read and judged until others have their turn. */
const stretchMsMax = 20
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

/** The work of one request, cut into stretches of the event loop between which everybody else has theirs. */
export class Stretches {
  readonly #parts: ApiParts
  readonly #request: ApiRequest
  #isSmall = true
  #isToFinish = false
  /** Undefined: it begins when it is first asked about. */
  #untilMs: number | undefined

  constructor(parts: ApiParts, request: ApiRequest) {
    this.#parts = parts
    this.#request = request
  }

  /** `late`: nobody waits for the answer any more. */
  begin(bytes: number): Promise<'late' | 'on'> | 'on' {
    if (bytes <= smallBytesMax) return 'on'
    this.#isSmall = false
    const turn = this.#parts.largeTurns.next(clientOf(this.#request.identity), bytes, () => this.#isLate())
    this.#untilMs = performance.now() + stretchMsMax
    return turn === undefined ? 'on' : this.#whenLetGo(turn)
  }

  /** Behind an await, in which others may have had a long stretch: a small one is not charged with it. */
  goOn(): void {
    if (this.#isSmall) this.#untilMs = undefined
  }

  isOver(): boolean {
    const nowMs = performance.now()
    this.#untilMs ??= nowMs + stretchMsMax
    return nowMs > this.#untilMs
  }

  next(): Promise<'late' | 'on'> | 'on' {
    return this.begin(turnBytesMax)
  }

  async carryOut<Value>(steps: Steps<Value>): Promise<Value | 'late'> {
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
      if (this.isOver() && (await this.next()) === 'late') return 'late'
    }
  }

  /** What was carried out is answered, whoever waits for it. */
  async finish<Value>(steps: Steps<Value>): Promise<Value> {
    this.#isToFinish = true
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
      if (this.isOver()) await this.next()
    }
  }

  async #whenLetGo(turn: Promise<void>): Promise<'late' | 'on'> {
    await turn
    this.#untilMs = performance.now() + stretchMsMax
    return this.#isLate() ? 'late' : 'on'
  }

  #isLate(): boolean {
    return !this.#isToFinish && (this.#request.isAbandoned() || msLeft(this.#request) === 0)
  }
}
