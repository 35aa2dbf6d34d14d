// Local reads on a read-only connection of this thread. Every text passes the gate first, because a read-only connection is no boundary: it still takes ATTACH and
// VACUUM INTO. For now a read runs where it was asked and cannot be stopped; reader processes with a deadline come later behind the same port.
import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Read, ReadOptions, ReadProblem, Reader } from '../api/reader.ts'
import { bindParameters } from '../command/binding.ts'
import type { Statement, StatementResult } from '../command/command.ts'
import type { GateProblem } from '../command/gate-port.ts'
import { judgeText } from '../command/gate.ts'
import { rememberVerdicts } from '../command/verdict-cache.ts'
import { bookkeepingTable } from './bookkeeping.ts'
import type { OnFatal } from './fatal.ts'
import { ResultBudget, fetchUntilFull, rowsTooLarge } from './result-budget.ts'
import { EnvironmentFailure, answerOfRead } from './sqlite-failure.ts'
import { toBindings } from './sql-values.ts'
import { StatementCache, type PreparedPiece } from './statement-cache.ts'

/** What is made anew with the connection. */
interface Connection {
  readonly database: Database.Database
  readonly cache: StatementCache
  readonly begin: Database.Statement
  readonly commit: Database.Statement
  readonly appliedIndex: Database.Statement
  readonly schemaVersion: Database.Statement
  knownSchema: bigint
}

export class SqliteReader implements Reader {
  readonly #path: string
  readonly #onFatal: OnFatal
  readonly #judgeText = rememberVerdicts(judgeText)
  #connection: Connection

  /** The database must exist and hold the bookkeeping. */
  constructor(path: string, options: { readonly onFatal: OnFatal }) {
    this.#path = path
    this.#onFatal = options.onFatal
    this.#connection = connect(path)
  }

  query(statements: readonly Statement[], options: ReadOptions): Promise<Result<Read, ReadProblem>> {
    for (const statement of statements) {
      const problem = this.#judge(statement.sql)
      if (problem !== undefined) return Promise.resolve(fail(problem))
    }
    try {
      return Promise.resolve(ok(this.#read(statements, options)))
    } catch (error) {
      if (error instanceof TooLarge)
        return Promise.resolve(fail({ code: 'result_too_large', message: `${rowsTooLarge}; ask for fewer rows` }))
      if (error instanceof EnvironmentFailure) {
        this.#onFatal({ code: 'database_failed', message: `during a read: ${error.message}`, cause: error })
      }
      return Promise.reject(error)
    }
  }

  readsOnly(statements: readonly Statement[]): boolean {
    return statements.every(({ sql }) => this.#judge(sql) === undefined && this.#isReadonly(sql))
  }

  asRun(sql: string): ReturnType<Reader['asRun']> {
    this.#followSchema()
    let problem: string | undefined
    const texts = (this.#connection.cache.get(sql) ?? []).map((piece) => {
      try {
        return piece.statement().source
      } catch (error) {
        problem ??= answerOfRead(error)
        return piece.sql
      }
    })
    return { sql: texts.join('; '), problem }
  }

  /** Closes the connection, so that the database may be replaced by another file; nothing is read until `resume`. A read never lasts beyond its call. */
  suspend(): void {
    this.#connection.database.close()
  }

  /** Opens what now lies there; the bookkeeping must be in it. */
  resume(): void {
    this.#connection = connect(this.#path)
  }

  close(): void {
    this.#connection.database.close()
  }

  #judge(sql: string): GateProblem | undefined {
    const judged = this.#judgeText(sql, { for: 'query' })
    return judged.ok ? undefined : judged.problem
  }

  #isReadonly(sql: string): boolean {
    this.#followSchema()
    try {
      return this.#connection.cache.get(sql)?.every(onlyReads) ?? false
    } catch (error) {
      answerOfRead(error)
      return false
    }
  }

  /** One snapshot for all statements: what the caller was promised about its age is checked inside of it. */
  #read(statements: readonly Statement[], options: ReadOptions): Read {
    this.#connection.begin.run()
    try {
      const appliedIndex = this.#connection.appliedIndex.get() as number // an INTEGER of our own STRICT table, far below 2^53
      assert(appliedIndex >= options.appliedIndexMin, 'a read waits until the index it needs is applied')
      this.#followSchema()
      const results: StatementResult[] = []
      const budget = new ResultBudget()
      for (const statement of statements) {
        if (statement.sql === '') continue
        const result = this.#readText(statement, budget)
        results.push(result)
        if (result.kind === 'error' && options.transaction) break
      }
      return { results, appliedIndex }
    } finally {
      this.#connection.commit.run()
    }
  }

  /** Handles made under an older schema would answer with its columns. */
  #followSchema(): void {
    const connection = this.#connection
    const version = connection.schemaVersion.get() as bigint // one row, one integer, safe integers on
    if (version === connection.knownSchema) return
    connection.cache.clear()
    connection.knownSchema = version
  }

  #readText(statement: Statement, budget: ResultBudget): StatementResult {
    const startedAtMs = performance.now()
    const result = this.#readPieces(statement, budget)
    return { ...result, seconds: (performance.now() - startedAtMs) / 1000 }
  }

  #readPieces(statement: Statement, budget: ResultBudget): StatementResult {
    let last: StatementResult = { kind: 'rows', columns: [], rows: [], seconds: 0 }
    let skip = 0
    for (const piece of this.#connection.cache.get(statement.sql) ?? []) {
      if (piece.plan === undefined) return { kind: 'error', message: 'too many SQL variables', seconds: 0 }
      const bound = bindParameters(piece.plan, statement.parameters, skip)
      if (!bound.ok) return { kind: 'error', message: bound.problem, seconds: 0 }
      skip += piece.plan.count
      try {
        last = readPiece(piece, toBindings(bound.value), budget)
      } catch (error) {
        if (error instanceof TooLarge) throw error
        return { kind: 'error', message: answerOfRead(error), seconds: 0 }
      }
    }
    return last
  }
}

function connect(path: string): Connection {
  const database = new Database(path, { readonly: true, fileMustExist: true })
  database.pragma('query_only = ON')
  return {
    database,
    cache: new StatementCache(database),
    begin: database.prepare('BEGIN'),
    commit: database.prepare('COMMIT'),
    appliedIndex: database.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).pluck(true),
    schemaVersion: database.prepare('PRAGMA schema_version').pluck(true).safeIntegers(true),
    knownSchema: -1n,
  }
}

/** Thrown out of the transaction and caught by the reader only. */
class TooLarge extends Error {}

function readPiece(piece: PreparedPiece, values: readonly unknown[], budget: ResultBudget): StatementResult {
  const statement = piece.statement()
  if (!onlyReads(piece)) return { kind: 'error', message: 'attempt to change database via query operation', seconds: 0 }
  // A pragma without a result.
  if (!statement.reader) {
    statement.run(...values)
    return { kind: 'rows', columns: [], rows: [], seconds: 0 }
  }
  const rows = fetchUntilFull(statement, values, budget)
  if (rows === undefined) throw new TooLarge()
  return { kind: 'rows', columns: piece.columns(), rows, seconds: 0 }
}

/** The binding says of an EXPLAIN what it would say of the statement itself; EXPLAIN changes nothing. */
function onlyReads(piece: PreparedPiece): boolean {
  return piece.keyword === 'explain' || piece.statement().readonly
}
