// What each client is asked to do, in the words of the suite.

export type Value = string | number | null

/** A statement, and what stands in the places of its question marks. */
export type Statement = readonly [sql: string, ...parameters: readonly Value[]]

export type Level = 'none' | 'weak' | 'linearizable' | 'strong'

export type Row = Readonly<Record<string, Value>>

/** One connection of one user. Whatever the client reports as an error is an exception here, with the client's own words. */
export interface SqlClient {
  /** Resolves with the id that the client says was inserted, if it says one. */
  execute(statement: Statement): Promise<number | undefined>
  /** All or nothing, in one request. Undefined where the client has no such thing. */
  readonly transaction: ((statements: readonly Statement[]) => Promise<void>) | undefined
  query(statement: Statement, level?: Level): Promise<readonly Row[]>
  /** Undefined where the client knows no queued writes. */
  readonly queue: ((statement: Statement) => Promise<void>) | undefined
  /** The same, until it is written. Undefined where the client cannot wait. */
  readonly queueAndWait: ((statement: Statement) => Promise<void>) | undefined
  close(): Promise<void>
}

export interface ConnectOptions {
  /** API ports of nodes on this machine, in the order in which a client that knows several tries them; one that knows one takes the first. */
  readonly ports: readonly number[]
  readonly caFile: string
  readonly username: string
  readonly password: string
}

export interface ClientProgram {
  readonly name: string
  connect(options: ConnectOptions): Promise<SqlClient>
}
