// Reads on one read-only connection, part by part: the rows of an answer are handed over while they are fetched, so that whoever passes them on to another process holds
// few of them. Runs in place, for what provably ends soon, and in reader processes (reader-process.ts) with the same code.
import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import type { Judgement } from '../api/rehearsal.ts'
import { bindParameters } from '../command/binding.ts'
import { settingProblem } from '../command/pragmas.ts'
import type { Column, SqlValue, Statement, StatementResult } from '../command/command.ts'
import { bookkeepingTable } from './bookkeeping.ts'
import { HeavyNames } from './heavy-names.ts'
import { ResultBudget, bytesOfRow } from './result-budget.ts'
import { costOfProposedChange, keepsSchema, schemaKeeping } from './schema-changes.ts'
import { answerOfRead } from './sqlite-failure.ts'
import { toBindings, toRow } from './sql-values.ts'
import { StatementCache, type PreparedPiece } from './statement-cache.ts'

/** In this order: `begun` once; for each statement that returns rows `columns`, `rows` as often as needed and `end`; for any other, or instead of an end, `result`. */
export type ReadPart =
  | { readonly kind: 'begun'; readonly appliedIndex: number }
  | { readonly kind: 'columns'; readonly columns: readonly Column[] }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly SqlValue[])[]; readonly bytes: number }
  | { readonly kind: 'end'; readonly seconds: number }
  | { readonly kind: 'result'; readonly result: StatementResult }

export interface SessionOptions {
  /** Stopped at the first error. */
  readonly transaction: boolean
  readonly appliedIndexMin: number
  readonly costMax: number
}

/** Thrown through the parts: the rows do not fit into one answer. */
export class TooLarge extends Error {}

/** Rows are handed over when they hold so much: enough that a hand-over costs little of what making them costs. */
const partBytesMax = 128 * 1024
/** A request that cannot be looked at in this time is taken for a long one. */
const judgingMsMax = 10
/** One of which not even the words can be read in this time, for one that changes the schema. */
const readingMsMax = 100

export class ReadSession {
  readonly #database: Database.Database
  readonly #cache: StatementCache
  readonly #begin: Database.Statement
  readonly #commit: Database.Statement
  readonly #progress: Database.Statement
  readonly #schemaVersion: Database.Statement
  readonly #heavyNames: HeavyNames
  readonly #foreignKeys: Database.Statement
  /** What took long to judge: it is asked again when a door opens, with many others, and stays what it was. */
  readonly #judgedLong = new WeakMap<readonly Statement[], Judgement>()
  #knownSchema = -1n
  #judgedUnder: object | undefined
  #hasForeignKeys = false

  /** The database must exist and hold the bookkeeping. */
  constructor(path: string) {
    const database = new Database(path, { readonly: true, fileMustExist: true })
    database.pragma('query_only = ON')
    // What a sort or a hash needs counts as the process's memory, which is bounded. Files would be bounded by nothing, and there may be no place for them.
    database.pragma('temp_store = MEMORY')
    this.#database = database
    this.#cache = new StatementCache(database)
    this.#begin = database.prepare('BEGIN')
    this.#commit = database.prepare('COMMIT')
    this.#progress = database.prepare(`SELECT applied_index, foreign_keys FROM ${bookkeepingTable}`).raw(true)
    this.#schemaVersion = database.prepare('PRAGMA schema_version').pluck(true).safeIntegers(true)
    this.#heavyNames = new HeavyNames(database)
    this.#foreignKeys = database.prepare(`SELECT foreign_keys FROM ${bookkeepingTable}`).pluck(true)
    database.pragma('foreign_keys = OFF')
  }

  /**
   * One snapshot for all statements: what the caller was promised about its age is checked inside of it, and there it is judged whether they end soon (`costMax`, in
   * instructions; `long`: they may not, and nothing was read).
   */
  *read(statements: readonly Statement[], options: SessionOptions): Generator<ReadPart, 'done' | 'long', undefined> {
    this.#begin.run()
    try {
      const appliedIndex = this.#appliedIndex()
      assert(appliedIndex >= options.appliedIndexMin, 'a read waits until the index it needs is applied')
      this.#followSchema()
      if (options.costMax !== Infinity && this.#costOf(statements) > options.costMax) return 'long'
      yield { kind: 'begun', appliedIndex }
      const budget = new ResultBudget()
      for (const statement of statements) {
        if (statement.sql === '') continue
        const failed = yield* this.#readText(statement, budget)
        if (failed && options.transaction) break
      }
      return 'done'
    } finally {
      this.#commit.run()
    }
  }

  /**
   * What statements that write would cost, under the schema as applied now. `schema`: the same object as the last time, and it is the same still; undefined: the file is
   * asked, which costs more than all the rest.
   */
  judge(statements: readonly Statement[], schema: object | undefined): Judgement {
    const known = this.#judgedLong.get(statements)
    if (known !== undefined) return known
    if (schema === undefined || schema !== this.#judgedUnder) {
      this.#followSchema()
      this.#followForeignKeys()
      this.#judgedUnder = schema
    }
    const beganAtMs = performance.now()
    let cost = 0
    let changesSchema = false
    for (const { sql } of statements) {
      const isLate = (): boolean => performance.now() - beganAtMs > judgingMsMax
      if (isLate() || this.#heavyNames.mayBeIn(sql)) {
        cost = Infinity
        // Splitting it takes some hundredths of a second for half a megabyte.
        if (isOneDataStatement(sql)) continue
        changesSchema ||= performance.now() - beganAtMs > readingMsMax || !keepsSchema(sql)
        if (changesSchema) break
        continue
      }
      for (const [at, piece] of (this.#cache.get(sql) ?? []).entries()) {
        // Nothing is known of what follows a change of the schema. One text may hold thousands of statements, and each is prepared.
        if (changesSchema || (at > 0 && isLate())) cost = Infinity
        const changes = piece.isUpkeep || piece.keyword === 'pragma' || !schemaKeeping.has(piece.keyword)
        if (cost < Infinity) cost += changes ? this.#costOfChange(piece) : piece.cost()
        changesSchema ||= changes
      }
    }
    const judgement = { cost, changesSchema }
    if (cost === Infinity && performance.now() - beganAtMs > judgingMsMax) this.#judgedLong.set(statements, judgement)
    return judgement
  }

  #costOfChange(piece: PreparedPiece): number {
    // Statistics take what they take, and end.
    return piece.isUpkeep ? 0 : (costOfProposedChange(piece.sql) ?? piece.cost())
  }

  /** See Reader.asRun. A text that may take long to prepare is left as it is. */
  asRun(sql: string): { readonly sql: string; readonly problem: string | undefined } {
    this.#followSchema()
    if (this.#heavyNames.mayBeIn(sql)) return { sql, problem: undefined }
    let problem: string | undefined
    const texts = (this.#cache.get(sql) ?? []).map((piece) => {
      try {
        return piece.setting === undefined ? piece.statement().source : piece.sql
      } catch (error) {
        problem ??= answerOfRead(error)
        return piece.sql
      }
    })
    return { sql: texts.join('; '), problem }
  }

  close(): void {
    this.#database.close()
  }

  /** Roughly the instructions that the statements carry out (bounded-program.ts); Infinity: they may run, or be prepared, for any time. */
  #costOf(statements: readonly Statement[]): number {
    const untilMs = performance.now() + judgingMsMax
    let cost = 0
    for (const { sql } of statements) {
      if (sql === '') continue
      if (performance.now() > untilMs) return Infinity
      if (this.#heavyNames.mayBeIn(sql)) return Infinity
      for (const piece of this.#cache.get(sql) ?? []) cost += piece.cost()
      if (cost === Infinity) break
    }
    return cost
  }

  /** Handles made under an older schema would answer with its columns. */
  #followSchema(): void {
    const version = this.#schemaVersion.get() as bigint // one row, one integer, safe integers on
    if (version === this.#knownSchema) return
    this.#cache.clear()
    this.#heavyNames.follow()
    this.#knownSchema = version
  }

  /** With foreign keys on, a statement looks into other tables, and may change them. */
  /** Within a transaction the setting cannot be changed: where the cluster has another one, the read begins again. */
  #appliedIndex(): number {
    for (;;) {
      const [appliedIndex, foreignKeys] = this.#progress.get() as [number, number] // INTEGERs of our own STRICT table, far below 2^53
      if ((foreignKeys === 1) === this.#hasForeignKeys) return appliedIndex
      this.#commit.run()
      this.#followForeignKeys()
      this.#begin.run()
    }
  }

  #followForeignKeys(): void {
    const isOn = this.#foreignKeys.get() === 1
    if (isOn === this.#hasForeignKeys) return
    this.#database.pragma(`foreign_keys = ${isOn ? 'ON' : 'OFF'}`)
    this.#hasForeignKeys = isOn
    this.#cache.clear()
  }

  /** The last piece answers. True: it failed. */
  *#readText(statement: Statement, budget: ResultBudget): Generator<ReadPart, boolean, undefined> {
    const startedAtMs = performance.now()
    const seconds = (): number => (performance.now() - startedAtMs) / 1000
    const pieces = this.#cache.get(statement.sql) ?? []
    let skip = 0
    for (const [position, piece] of pieces.entries()) {
      if (piece.plan === undefined) return yield* failWith('too many SQL variables', seconds())
      const bound = bindParameters(piece.plan, statement.parameters, skip)
      if (!bound.ok) return yield* failWith(bound.problem, seconds())
      skip += piece.plan.count
      const isLast = position === pieces.length - 1
      if (piece.setting !== undefined) {
        const problem = settingProblem(piece.setting, { foreignKeys: this.#hasForeignKeys, isTransaction: false })
        if (problem !== undefined) return yield* failWith(problem, seconds())
        if (isLast) yield { kind: 'columns', columns: [] }
        continue
      }
      try {
        if (!onlyReads(piece)) return yield* failWith('attempt to change database via query operation', seconds())
        for (const part of readPiece(piece, toBindings(bound.value), budget)) if (isLast) yield part
      } catch (error) {
        if (error instanceof TooLarge) throw error
        return yield* failWith(answerOfRead(error), seconds())
      }
    }
    if (pieces.length === 0) yield { kind: 'columns', columns: [] }
    yield { kind: 'end', seconds: seconds() }
    return false
  }
}

/** Seen without reading it all; other texts may be as well. */
function isOneDataStatement(sql: string): boolean {
  return /^\s*(?:insert|replace|update|delete|select|values|with|explain)\b/i.test(sql) && !/;\s*\S/.test(sql)
}

function* failWith(message: string, seconds: number): Generator<ReadPart, true, undefined> {
  yield { kind: 'result', result: { kind: 'error', message, seconds } }
  return true
}

function* readPiece(piece: PreparedPiece, values: readonly unknown[], budget: ResultBudget): Generator<ReadPart, void, undefined> {
  const statement = piece.statement()
  // A pragma without a result.
  if (!statement.reader) {
    statement.run(...values)
    yield { kind: 'columns', columns: [] }
    return
  }
  yield { kind: 'columns', columns: piece.columns() }
  yield* rowsOf(statement.iterate(...values) as IterableIterator<unknown[]>, budget)
}

function* rowsOf(found: Iterable<unknown[]>, budget: ResultBudget): Generator<ReadPart, void, undefined> {
  let rows: (readonly SqlValue[])[] = []
  let bytes = 0
  for (const row of found) {
    if (!budget.take(row)) throw new TooLarge()
    rows.push(toRow(row))
    bytes += bytesOfRow(row)
    if (bytes < partBytesMax) continue
    yield { kind: 'rows', rows, bytes }
    rows = []
    bytes = 0
  }
  if (rows.length > 0) yield { kind: 'rows', rows, bytes }
}

/** The binding says of an EXPLAIN what it would say of the statement itself; EXPLAIN changes nothing. */
function onlyReads(piece: PreparedPiece): boolean {
  return piece.keyword === 'explain' || piece.statement().readonly
}
