// Runs the statements of one command on the write connection, inside a transaction that the caller has begun. Whatever happens here depends on the command, the data
// and the counters alone, never on which other entries share the transaction.
import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import { bindParameters, type Bound } from '../command/binding.ts'
import type { Command, Statement, StatementResult } from '../command/command.ts'
import type { EntryMoment } from '../command/entry-moment.ts'
import { installReplicatedFunctions, type ReplicatedFunctions } from './replicated-functions.ts'
import { settingProblem, type Setting } from '../command/pragmas.ts'
import { mustBeAlone } from '../command/upkeep.ts'
import { ClockGuard, clockRefused } from './clock-guard.ts'
import { costOfCommand, neverRun } from './command-cost.ts'
import { ResultBudget, fetchAll, rowsTooLarge } from './result-budget.ts'
import { RowidGuard, rowidRefused } from './rowid-guard.ts'
import { schemaKeeping } from './schema-changes.ts'
import { SchemaFacts } from './schema-facts.ts'
import { toBindings } from './sql-values.ts'
import { answerOf, isFull } from './sqlite-failure.ts'
import { hashRow, joinEffects, type Effect, type Trace } from './state-hash.ts'
import { StatementCache, type PreparedPiece } from './statement-cache.ts'
import { VirtualTables } from './virtual-tables.ts'

/** What the connection would report: changed by every statement that writes. */
export interface Counters {
  lastInsertId: bigint
  rowsAffected: number
}

/** The part of a command that is to run: whole statements from `first` on, up to (not including) one piece of one statement when `until` is given. */
export interface Extent {
  readonly first: number
  readonly until: { readonly statement: number; readonly piece: number } | undefined
}

export const everything: Extent = { first: 0, until: undefined }

export type CommandRun =
  | { readonly kind: 'done'; readonly traces: readonly Trace[] }
  /**
   * A statement has rolled back the whole transaction (OR ROLLBACK, ON CONFLICT ROLLBACK, RAISE(ROLLBACK)), or the caller must do so, when it is still open: nothing of this
   * run may stay in the data.
   */
  | {
      readonly kind: 'rolled-back'
      readonly statement: number
      readonly piece: number
      /** SQLite says that there is no more room: in the table, or on the disk. */
      readonly isFull: boolean
      readonly error: StatementResult
      readonly traces: readonly Trace[]
      /** What last_insert_rowid() told by then: no rollback takes that back. */
      readonly lastInsertId: bigint
    }
  /** The open transaction cannot go on, by what was run in it before. */
  | { readonly kind: 'refused'; readonly message: string }

type PieceEnd =
  | { readonly kind: 'result'; readonly result: StatementResult; readonly effect: Effect }
  | { readonly kind: 'failed'; readonly message: string }
  /** What it did may not stay: where there are virtual tables, they may hold what no savepoint takes back. */
  | { readonly kind: 'unwanted'; readonly message: string }
  | { readonly kind: 'rolled-back'; readonly message: string; readonly isFull: boolean }

type TextEnd = Trace &
  ({ readonly kind: 'result' | 'failed' | 'unwanted' } | { readonly kind: 'rolled-back'; readonly piece: number; readonly isFull: boolean })

/** `until`: a piece of the text that does not run any more. */
interface TextPlace {
  readonly command: Command
  readonly position: number
  readonly until: number | undefined
}

const dataChanging: ReadonlySet<string> = new Set('insert replace update delete with'.split(' '))

export class CommandRunner {
  readonly counters: Counters = { lastInsertId: 0n, rowsAffected: 0 }
  #budget = new ResultBudget()
  readonly #setLastInsertRowid: (value: bigint) => void
  readonly #database: Database.Database
  readonly #cache: StatementCache
  readonly #schema: SchemaFacts
  readonly #virtualTables: VirtualTables
  readonly #functions: ReplicatedFunctions
  readonly #guard: RowidGuard
  readonly #clockGuard: ClockGuard
  readonly #zeroChanges: Database.Statement
  readonly #savepoint: Database.Statement
  readonly #release: Database.Statement
  readonly #rollbackTo: Database.Statement
  readonly #lastRowid: Database.Statement

  constructor(database: Database.Database, setLastInsertRowid: (value: bigint) => void) {
    this.#database = database
    this.#setLastInsertRowid = setLastInsertRowid
    this.#cache = new StatementCache(database)
    this.#schema = new SchemaFacts(database)
    this.#virtualTables = new VirtualTables(database)
    this.#functions = installReplicatedFunctions(database)
    this.#guard = new RowidGuard(database)
    this.#clockGuard = new ClockGuard(database)
    this.#zeroChanges = database.prepare('DELETE FROM temp._securesql_rowid WHERE id IS NULL')
    this.#savepoint = database.prepare('SAVEPOINT _securesql_entry')
    this.#release = database.prepare('RELEASE _securesql_entry')
    this.#rollbackTo = database.prepare('ROLLBACK TO _securesql_entry')
    this.#lastRowid = database.prepare('SELECT last_insert_rowid()').pluck(true).safeIntegers(true)
  }

  /** Roughly the instructions that it carries out; Infinity: it may run for any time. Under the schema as it is now. */
  costOf(command: Command): number {
    return costOfCommand(command, this.#schema, this.#cache)
  }

  get schemaFacts(): SchemaFacts {
    return this.#schema
  }

  /** Before another connection writes, and after it has. */
  handOver(): void {
    this.#guard.handOver()
  }

  takeBack(): void {
    this.#guard.takeBack()
    this.forgetStatements()
  }

  /** After a transaction was rolled back: its changes of the schema are gone, and so must be the handles made under it. */
  forgetStatements(): void {
    this.#schema.forget()
    this.#virtualTables.forget()
    this.#cache.clear()
    this.#guard.schemaChanged()
    this.#clockGuard.schemaChanged()
  }

  beginGroup(): void {
    this.#budget = new ResultBudget()
  }

  beginEntry(moment: EntryMoment): void {
    this.#budget.nextEntry()
    this.#functions.beginEntry(moment)
  }

  run(command: Command, extent: Extent): CommandRun {
    return command.transaction ? this.#runTogether(command) : this.#runEach(command, extent)
  }

  /** A message: what was run before in this transaction does not let it go on. Virtual tables are settled behind each statement, so it should never come. */
  #enter(): string | undefined {
    try {
      this.#savepoint.run()
    } catch (error) {
      return answerOf(error)
    }
    this.#repairLastInsertId()
    return undefined
  }

  /** A message: virtual tables cannot write what they keep, and the transaction must be rolled back. */
  #settle(): string | undefined {
    const problem = this.#virtualTables.settle()
    this.#repairLastInsertId()
    return problem
  }

  /** Where virtual tables write, at savepoints and at COMMIT, version 4 of the full-text ones leaves its own last_insert_rowid() behind: answers would depend on restarts. */
  #repairLastInsertId(): void {
    if (this.#virtualTables.exist && this.#lastInsertId() !== this.counters.lastInsertId)
      this.#setLastInsertRowid(this.counters.lastInsertId)
  }

  #mayTouchVirtualTables(sql: string): boolean {
    return this.#virtualTables.exist || (this.#cache.get(sql) ?? []).some(({ keyword }) => !schemaKeeping.has(keyword))
  }

  /** All or nothing: one savepoint, stop at the first error. */
  #runTogether(command: Command): CommandRun {
    const traces: Trace[] = []
    let last = 0
    const refusal = this.#enter()
    if (refusal !== undefined) return { kind: 'refused', message: refusal }
    this.#restartChanges(command.statements)
    for (const [position, statement] of command.statements.entries()) {
      if (statement.sql === '') continue
      last = position
      const end = this.#runText({ command, position, until: undefined })
      if (end.kind === 'rolled-back') return this.#rolledBack(position, end, traces)
      if (end.kind !== 'result' && this.#virtualTables.exist) return this.#takenBack(position, end.result, traces)
      traces.push(end)
      if (end.kind === 'result') continue
      this.#rollbackTo.run()
      this.forgetStatements()
      break
    }
    const problem = this.#settle()
    if (problem !== undefined) return this.#takenBack(last, { kind: 'error', message: problem, seconds: 0 }, traces.slice(0, -1))
    this.#release.run()
    return { kind: 'done', traces }
  }

  /** Each statement stands alone. SQLite itself takes back what a failed statement has changed (or keeps it, where the statement says OR FAIL). */
  #runEach(command: Command, extent: Extent): CommandRun {
    const traces: Trace[] = []
    for (let position = extent.first; position < command.statements.length; position += 1) {
      const statement = command.statements[position]
      if (statement === undefined || (extent.until !== undefined && position > extent.until.statement)) break
      if (statement.sql === '') continue
      const isLast = position === extent.until?.statement
      // One savepoint a statement: full-text tables flush at savepoints, and where they flush must not depend on the group. Without them SQLite's own statement is enough.
      const hasSavepoint = this.#mayTouchVirtualTables(statement.sql)
      const refusal = hasSavepoint ? this.#enter() : undefined
      if (refusal !== undefined) return { kind: 'refused', message: refusal }
      this.#restartChanges([statement])
      const end = this.#runText({ command, position, until: isLast ? extent.until?.piece : undefined })
      if (end.kind === 'rolled-back') return this.#rolledBack(position, end, traces)
      if (end.kind === 'unwanted') return this.#takenBack(position, end.result, traces)
      if (hasSavepoint) {
        const problem = this.#settle()
        if (problem !== undefined)
          return this.#takenBack(position, { kind: 'error', message: problem, seconds: end.result.seconds }, traces)
        this.#release.run()
      }
      if (!isLast) traces.push(end)
    }
    return { kind: 'done', traces }
  }

  /**
   * changes() and total_changes() begin at 0 in each entry, where its statements stand for themselves in each of them. Otherwise they would tell of what the connection did
   * before: other entries, our own bookkeeping. (What last_insert_rowid() tells is kept with the applied index, like the reply's.)
   */
  #restartChanges(statements: readonly Statement[]): void {
    this.#functions.restartChanges()
    if (this.#schema.mentionsChanges || statements.some(({ sql }) => /changes/i.test(sql))) this.#zeroChanges.run()
  }

  /** Runs the pieces of one text, `until` one of them when given; answers with the last one's result. */
  #runText({ command, position: at, until }: TextPlace): TextEnd {
    const statement = command.statements[at]
    assert(statement !== undefined, 'the place is one of the command')
    const startedAtMs = performance.now()
    const seconds = (): number => (performance.now() - startedAtMs) / 1000
    const pieces = this.#cache.get(statement.sql)
    if (pieces === undefined)
      return { kind: 'failed', result: { kind: 'error', message: 'unrecognized token', seconds: seconds() }, effect: 'failed' }
    let last: StatementResult = { kind: 'written', lastInsertId: 0n, rowsAffected: 0, seconds: 0 }
    let effect: Effect = 'read'
    let skip = 0
    let position = 0
    for (const piece of pieces) {
      if (position === until) break
      this.#functions.beginPiece(at, position, piece.clock)
      const end = this.#runPiece(piece, statement, command, skip)
      if (end.kind !== 'result') {
        this.#virtualTables.forgetSettings()
        const result: StatementResult = { kind: 'error', message: end.message, seconds: seconds() }
        if (end.kind === 'rolled-back') return { ...end, result, effect: 'failed', piece: position }
        return { kind: end.kind, result, effect: mayWrite(piece) ? 'failed' : 'read' }
      }
      last = end.result
      if (typeof end.effect === 'number') effect = typeof effect === 'number' ? joinEffects(effect, end.effect) : end.effect
      skip += piece.plan?.count ?? 0
      position += 1
    }
    return { kind: 'result', result: { ...last, seconds: seconds() }, effect }
  }

  #runPiece(piece: PreparedPiece, statement: Statement, { kind, transaction }: Command, skip: number): PieceEnd {
    if (neverRun.has(piece.keyword)) return { kind: 'failed', message: `${piece.keyword.toUpperCase()} cannot run in a replicated command` }
    if (piece.isUpkeep) return { kind: 'failed', message: `${piece.keyword.toUpperCase()} ${mustBeAlone}` }
    if (piece.setting !== undefined) return this.#compareSetting(piece.setting, transaction)
    if (piece.plan === undefined) return { kind: 'failed', message: 'too many SQL variables' }
    const bound = bindParameters(piece.plan, statement.parameters, skip)
    if (!bound.ok) return { kind: 'failed', message: bound.problem }
    const changesData = dataChanging.has(piece.keyword)
    const changesSchema = !schemaKeeping.has(piece.keyword)
    const { lastInsertId } = this.counters
    let hasBegun = false
    // It would have no effect (virtual-tables.ts). The gate says so of a literal; here it comes as a parameter.
    if (changesData && holdsAutomerge(bound.value) && piece.isCommanding())
      return { kind: 'failed', message: 'automerge of a full-text table cannot be changed yet' }
    try {
      const problem = changesSchema ? this.#settle() : undefined
      if (problem !== undefined) return { kind: 'unwanted', message: problem }
      if (changesData) this.#guard.prepare()
      if (changesData || piece.keyword === 'alter') this.#clockGuard.prepare()
      piece.statement()
      hasBegun = true
      if (changesSchema) this.#schema.countChange()
      const end = this.#step(piece, toBindings(bound.value), kind)
      if (changesSchema) this.forgetStatements()
      const hidden = changesSchema ? this.#virtualTables.misusedShadow() : undefined
      if (hidden !== undefined) return { kind: 'rolled-back', message: hidden, isFull: false }
      if (!changesData || !this.#guard.isBroken()) return end
      this.keepLastInsertId(lastInsertId)
      return { kind: 'unwanted', message: rowidRefused }
    } catch (error) {
      if (isFull(error)) return { kind: 'rolled-back', message: error.message, isFull: true }
      const message = (changesSchema ? this.#virtualTables.refusalOf(error) : undefined) ?? answerOf(error)
      // A change of the schema that fails half-way (ALTER … DROP COLUMN of what a trigger names) stays in SQLite's memory until the transaction ends.
      const isOver = (changesSchema && hasBegun) || !this.#database.inTransaction
      // Behind its last rowid a virtual table takes any, by chance, until the statement fails.
      if (changesData && this.#virtualTables.exist) this.keepLastInsertId(lastInsertId)
      return isOver ? { kind: 'rolled-back', message, isFull: false } : this.#failed(piece, message)
    }
  }

  #rolledBack(
    statement: number,
    end: Pick<Extract<TextEnd, { kind: 'rolled-back' }>, 'piece' | 'isFull' | 'result'>,
    traces: readonly Trace[],
  ): CommandRun {
    const { piece, isFull, result: error } = end
    return { kind: 'rolled-back', statement, piece, isFull, error, traces, lastInsertId: this.counters.lastInsertId }
  }

  /** With all pieces of its text. */
  #takenBack(statement: number, result: StatementResult, traces: readonly Trace[]): CommandRun {
    return this.#rolledBack(statement, { piece: 0, isFull: false, result }, traces)
  }

  /** As the connection tells it to what runs next. */
  keepLastInsertId(value: bigint): void {
    this.counters.lastInsertId = value
    this.#setLastInsertRowid(value)
  }

  #compareSetting(setting: Setting, isTransaction: boolean): PieceEnd {
    const foreignKeys = this.#database.pragma('foreign_keys', { simple: true }) === 1
    const message = settingProblem(setting, { foreignKeys, isTransaction })
    return message === undefined ? { kind: 'result', result: this.#written(), effect: 'read' } : { kind: 'failed', message }
  }

  #step(piece: PreparedPiece, values: readonly unknown[], kind: Command['kind']): PieceEnd {
    const statement = piece.statement()
    if (!statement.reader) {
      const { changes, lastInsertRowid } = statement.run(...values)
      this.#count(piece, changes, BigInt(lastInsertRowid))
      return { kind: 'result', result: this.#written(), effect: changes }
    }
    const changesData = dataChanging.has(piece.keyword) && !statement.readonly
    // A read among writes: run for its errors; like rqlite, execute answers with the counters.
    if (kind === 'execute' && !changesData) {
      statement.get(...values)
      return { kind: 'result', result: this.#written(), effect: 'read' }
    }
    let returned = 0
    const see = changesData ? (row: readonly unknown[]) => (returned = (returned + hashRow(row)) >>> 0) : () => {}
    const { rows, count, isTooLarge } = fetchAll(statement, values, this.#budget, see)
    if (changesData) this.#count(piece, count, this.#lastInsertId())
    const effect = changesData ? joinEffects(hashRow([count, this.counters.lastInsertId]), returned) : 'read'
    // Told, not acted upon: what was changed stays, and the command goes on.
    if (isTooLarge)
      return { kind: 'result', result: { kind: 'error', message: `${rowsTooLarge}; the statement was carried out`, seconds: 0 }, effect }
    return { kind: 'result', result: { kind: 'rows', columns: piece.columns(), rows, seconds: 0 }, effect }
  }

  #failed(piece: PreparedPiece, message: string): PieceEnd {
    // The row was there for a moment, and the connection would go on naming it.
    if (message === rowidRefused || message === clockRefused) this.#setLastInsertRowid(this.counters.lastInsertId)
    this.#count(piece, 0, this.#lastInsertId())
    return { kind: 'failed', message }
  }

  #count(piece: PreparedPiece, changes: number, lastInsertId: bigint): void {
    // A statement of another kind (CREATE, DROP …) leaves the count as it was, as sqlite3_changes() does.
    if (dataChanging.has(piece.keyword)) {
      this.counters.rowsAffected = changes
      this.#functions.countChanges(changes)
    }
    this.counters.lastInsertId = lastInsertId
  }

  #lastInsertId(): bigint {
    return this.#lastRowid.get() as bigint // SELECT of one integer column with safe integers
  }

  #written(): StatementResult {
    return { kind: 'written', lastInsertId: this.counters.lastInsertId, rowsAffected: this.counters.rowsAffected, seconds: 0 }
  }
}

function holdsAutomerge({ anonymous, named }: Bound): boolean {
  return anonymous.some(isAutomerge) || (named !== undefined && Object.values(named).some(isAutomerge))
}

function isAutomerge(value: unknown): boolean {
  return typeof value === 'string' && /^automerge=/i.test(value)
}

function mayWrite({ keyword }: PreparedPiece): boolean {
  return dataChanging.has(keyword) || !schemaKeeping.has(keyword)
}
