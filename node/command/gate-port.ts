// The statement gate: what a client's text may contain. Fails closed: what its tokenizer does not know is refused. `gate.ts` implements it.
import type { Result } from '../../runtime/result.ts'
import type { Steps } from './steps.ts'

export interface GateProblem {
  readonly code: 'statement_refused' | 'statement_not_deterministic'
  /** Names the keyword or function, and why; never the whole text. For pragmas rqlite's own words: "disallowed pragma". */
  readonly message: string
}

export interface JudgedStatement {
  /** One statement, without its closing `;`, exactly one `prepare`. */
  readonly sql: string
  readonly effect: 'read' | 'write'
}

/**
 * Splits `text` at its semicolons (comments, strings, identifiers and triggers' BEGIN…END understood) and judges each statement.
 * An empty list: nothing but white space and comments. `for: 'query'` refuses everything that is not a read.
 */
export type JudgeText = (
  text: string,
  options: { readonly for: 'execute' | 'query' | 'request' },
) => Result<readonly JudgedStatement[], GateProblem>

/** The same, with pauses: a text of eight megabytes takes some tenths of a second. */
export type JudgeInSteps = (...asked: Parameters<JudgeText>) => Steps<ReturnType<JudgeText>>
