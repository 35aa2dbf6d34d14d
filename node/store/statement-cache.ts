// Texts that were split, planned and prepared before: preparing costs several times what running a small statement does. Prepared handles are dropped whenever the
// schema may have changed: SQLite re-prepares by itself, but what the binding remembers of a handle (columns, whether it returns rows) would be stale.
import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import { planParameters, type ParameterPlan } from '../command/binding.ts'
import type { Column } from '../command/command.ts'
import { settingIn, type Setting } from '../command/pragmas.ts'
import { splitStatements, wordOf, type Piece } from '../command/split.ts'
import { findWriteTargets } from '../command/target-tables.ts'
import { upkeepIn } from '../command/upkeep.ts'
import { costOfStatement } from './bounded-program.ts'
import { isTriedOut, prepareWithDoubleQuotes } from './double-quoted-strings.ts'

/** Texts kept; a client with more different texts than this should use parameters. */
const textsMax = 1_000
/** Longer texts are bulk loads: they do not come again. */
const textLengthMax = 32 * 1024

export interface PreparedPiece {
  readonly sql: string
  /** First keyword in lower case, '' when the statement begins otherwise. */
  readonly keyword: string
  /** Undefined: more parameters than SQLite takes. */
  readonly plan: ParameterPlan | undefined
  /** Throws what the binding throws. */
  readonly statement: () => Database.Statement
  /** `stopped`: it fills an index or a column, whose values may not come from the clock (replicated-functions.ts). */
  readonly clock: 'runs' | 'stopped'
  /** It says how a connection should be, and is never prepared: SQLite would follow it at once. */
  readonly setting: Setting | undefined
  /** It stands in an entry of its own, or does not run (command/upkeep.ts). */
  readonly isUpkeep: boolean
  /** Whether it inserts into a column that is called as its table: the way to give commands to a full-text table. */
  readonly isCommanding: () => boolean
  /** Roughly the instructions that it carries out; Infinity: not bounded. Zero where SQLite refuses the text: it will not run. */
  readonly cost: () => number
  /** Of a statement that returns rows. */
  readonly columns: () => readonly Column[]
}

/** Undefined: the text cannot be split, because it holds what SQLite would not read as a token. */
export type PreparedText = readonly PreparedPiece[] | undefined

export class StatementCache {
  readonly #database: Database.Database
  readonly #texts = new Map<string, PreparedText>()
  // One statement is asked for several times, and often the next one is the same.
  #last: { readonly text: string; readonly prepared: PreparedText } | undefined

  constructor(database: Database.Database) {
    this.#database = database
  }

  get(text: string): PreparedText {
    if (this.#last?.text === text) return this.#last.prepared
    const prepared = this.#find(text)
    if (text.length <= textLengthMax) this.#last = { text, prepared }
    return prepared
  }

  clear(): void {
    this.#texts.clear()
    this.#last = undefined
  }

  #find(text: string): PreparedText {
    if (this.#texts.has(text)) {
      const known = this.#texts.get(text)
      this.#texts.delete(text) // and in again at the end: the first one is the least recently used
      this.#texts.set(text, known)
      return known
    }
    const split = splitStatements(text)
    const prepared = split.ok ? split.value.map((piece) => preparePiece(this.#database, piece)) : undefined
    if (text.length <= textLengthMax) this.#keep(text, prepared)
    return prepared
  }

  #keep(text: string, prepared: PreparedText): void {
    this.#texts.set(text, prepared)
    if (this.#texts.size <= textsMax) return
    const oldest = this.#texts.keys().next()
    if (!oldest.done) this.#texts.delete(oldest.value)
  }
}

function preparePiece(database: Database.Database, piece: Piece): PreparedPiece {
  let statement: Database.Statement | undefined
  let columns: readonly Column[] | undefined
  let cost: number | undefined
  const keyword = wordOf(piece.sql, piece.tokens[0])
  const setting = settingIn(piece)
  const prepared = (): Database.Statement => (statement ??= prepare(database, piece, keyword))
  return {
    sql: piece.sql,
    keyword,
    plan: planParameters(piece),
    statement: prepared,
    clock: keepsValues(piece, keyword) ? 'stopped' : 'runs',
    setting,
    isUpkeep: upkeepIn(piece) !== undefined,
    isCommanding: () => findWriteTargets(piece).some(({ table, columns: names }) => names?.includes(table) === true),
    cost: () => (cost ??= setting !== undefined ? 0 : isTriedOut(piece) ? Infinity : costOfStatement(database, prepared)),
    columns: () =>
      (columns ??= prepared()
        .columns()
        .map(({ name, type, table }) => ({ name, declaredType: type?.toLowerCase() ?? '', ...(table === null ? {} : { table }) }))),
  }
}

function keepsValues(piece: Piece, keyword: string): boolean {
  if (keyword !== 'create') return keyword === 'alter' || keyword === 'reindex' || keyword === 'analyze'
  return piece.tokens.slice(1, 3).some((token) => wordOf(piece.sql, token) === 'index')
}

function prepare(database: Database.Database, piece: Piece, keyword: string): Database.Statement {
  assert(settingIn(piece) === undefined, 'a setting is never prepared')
  const statement = prepareWithDoubleQuotes(database, piece, keyword).safeIntegers(true)
  return statement.reader ? statement.raw(true) : statement
}
