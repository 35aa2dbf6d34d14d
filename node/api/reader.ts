// Port: local reads. Owned by the API; `node/store` implements it with read-only connections.
import type { Result } from '../../runtime/result.ts'
import type { Statement, StatementResult } from '../command/command.ts'
import type { GateProblem } from '../command/gate-port.ts'

export interface ReadOptions {
  /** One read transaction around all statements, stopped at the first error. */
  readonly transaction: boolean
  /** The snapshot must contain at least this applied index, checked inside the read transaction itself. */
  readonly appliedIndexMin: number
  /** Milliseconds that one statement may run (`db_timeout`); the API answers `query timeout` by then whatever the reader does. */
  readonly statementTimeoutMs?: number
}

export interface Read {
  readonly results: readonly StatementResult[]
  /** Applied index of the snapshot that was read. */
  readonly appliedIndex: number
}

/** `result_too_large`: the rows, or one value of them, are beyond the limits of `command/result-limits.ts`. */
export type ReadProblem = GateProblem | { readonly code: 'result_too_large'; readonly message: string }

export interface Reader {
  query(statements: readonly Statement[], options: ReadOptions): Promise<Result<Read, ReadProblem>>
  /** Whether every text reads only; the unified endpoint asks before it chooses read path or log. A text that does not prepare counts as a write: the log path then answers its error. */
  readsOnly(statements: readonly Statement[]): boolean
  /** The text as it would be run now, which it is not: words in double quotes that can only be strings are strings. `problem`: what SQLite says to it now, in its words. */
  asRun(sql: string): { readonly sql: string; readonly problem: string | undefined }
}
