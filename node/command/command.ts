// What is written into the log for a client's request, and what comes out when it is applied. Encoded by `command-codec.ts`.

/** A bound parameter or a value of a row: `bigint` is SQLite's INTEGER, `number` its REAL, whatever the value. */
export type SqlValue = null | number | bigint | string | Uint8Array

export type Parameters =
  | { readonly kind: 'positional'; readonly values: readonly SqlValue[] }
  /** Names without their prefix (`:`, `@` or `$`). */
  | { readonly kind: 'named'; readonly values: ReadonlyMap<string, SqlValue> }

export interface Statement {
  /** One or more statements as the client sent them; the gate splits them. */
  readonly sql: string
  readonly parameters: Parameters
}

export interface Command {
  /** `execute`: results of writes only (rows for RETURNING). `request`: reads and writes mixed. Both change data only through the gate. */
  readonly kind: 'execute' | 'request'
  readonly statements: readonly Statement[]
  /** true: all or nothing, stop at the first error. false: each statement stands alone. */
  readonly transaction: boolean
  /** The leader's wall clock when it was proposed, milliseconds since the epoch. */
  readonly proposedAtMs: number
  /** `seedBytes` random ones, for functions that must give the same value on every node (entry-moment.ts). */
  readonly seed: Uint8Array
}

export interface Column {
  readonly name: string
  /** Lower-cased declared type; '' when it is an expression (the API then infers it from the first row). */
  readonly declaredType: string
  /** The table that the column comes from; absent for an expression. */
  readonly table?: string
}

/** One per statement, in order; where one text held several statements, that of the last one. `seconds`: how long it ran on the answering node. */
export type StatementResult =
  | { readonly kind: 'written'; readonly lastInsertId: bigint; readonly rowsAffected: number; readonly seconds: number }
  | {
      readonly kind: 'rows'
      readonly columns: readonly Column[]
      readonly rows: readonly (readonly SqlValue[])[]
      readonly seconds: number
    }
  /** SQLite's own message. */
  | { readonly kind: 'error'; readonly message: string; readonly seconds: number }

export interface CommandOutcome {
  readonly results: readonly StatementResult[]
}
