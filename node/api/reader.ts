// Port: local reads. Owned by the API; `node/store` implements it with read-only connections.
import type { Result } from '../../runtime/result.ts'
import type { Statement, StatementResult } from '../command/command.ts'
import type { GateProblem } from '../command/gate-port.ts'

export interface ReadOptions {
  /** One read transaction around all statements, stopped at the first error. */
  readonly transaction: boolean
  /** The snapshot must contain at least this applied index, checked inside the read transaction itself. */
  readonly appliedIndexMin: number
  /** Milliseconds that one statement may run (`db_timeout`): by then it is ended and answered `query timeout`. */
  readonly statementTimeoutMs?: number
  /** Milliseconds that the whole may take, waiting included: by then everything of it is ended. Absent: half a minute. */
  readonly timeoutMs?: number
  /** Whom the reads are for: waiting reads take turns by it. */
  readonly client?: string
  /** The caller has put each text before the gate, as a query, and was let through: a long text is not read twice. Absent: the reader does it. */
  readonly gate?: 'passed'
  /** Nobody waits for the answer any more: what runs may be ended. */
  readonly isAbandoned?: () => boolean
}

export interface Read {
  readonly results: readonly StatementResult[]
  /** Applied index of the snapshot that was read. */
  readonly appliedIndex: number
  /** Why one of the statements (the last such one) was ended, if one was; its result says the same in words. */
  readonly ended?: 'statement_timeout' | 'statement_out_of_memory'
}

/**
 * `result_too_large`: the rows, or one value of them, are beyond the limits of `command/result-limits.ts`. `overloaded`: too many reads wait. `deadline`: it has passed.
 * `not_ready`: the node ends.
 */
export type ReadProblem =
  | GateProblem
  | { readonly code: 'result_too_large' | 'overloaded' | 'deadline' | 'not_ready'; readonly message: string }

export interface Reader {
  query(statements: readonly Statement[], options: ReadOptions): Promise<Result<Read, ReadProblem>>
  /** Whether every text reads only, by its words; the unified endpoint asks before it chooses read path or log. */
  readsOnly(statements: readonly Statement[]): boolean
  /** The text as it would be run now, which it is not: words in double quotes that can only be strings are strings. `problem`: what SQLite says to it now, in its words. */
  asRun(sql: string): { readonly sql: string; readonly problem: string | undefined }
}
