// An index, a CHECK or a generated column over date(a) must never see the text 'now' in a: what SQLite keeps would be found different later, and the index be corrupt.
// SQLite's own date() refuses it there, because it is told where it stands; an override is not. So TEMP triggers of this connection, like those of rowid-guard.ts, try
// the same arguments on each row that is inserted or updated. Only tables that have such an expression get them. Where an expression cannot be rewritten for a trigger (a
// column that is called END, say), no column of its table may hold one of those words.
import Database from 'better-sqlite3'
import { dateCallsIn } from '../command/determinism.ts'
import type { Call } from '../command/kept-expressions.ts'
import { splitStatements, wordOf, type Piece } from '../command/split.ts'
import { quotedName, tokenName } from '../command/tokenizer.ts'

export const clockRefused = 'non-deterministic use of a date function in an index, a CHECK constraint or a generated column'

const events = ['INSERT', 'UPDATE'] as const
/** Of a call; SQLite takes 127. */
const argumentsMax = 100
/** Of a row, beside its columns. */
const rowidNames: readonly string[] = ['rowid', '_rowid_', 'oid']

interface Source {
  readonly name: string
  readonly sql: string
}

export class ClockGuard {
  readonly #database: Database.Database
  readonly #sources: Database.Statement
  readonly #columns: Database.Statement
  readonly #kind: Database.Statement
  readonly #triggers: Database.Statement
  #isCurrent = false
  #made = 0

  constructor(database: Database.Database) {
    this.#database = database
    this.#sources = database.prepare(
      `SELECT tbl_name AS name, sql FROM main.sqlite_schema WHERE type IN ('table', 'index') AND rootpage > 0
       AND (sql LIKE '%date%' OR sql LIKE '%time%' OR sql LIKE '%julianday%' OR sql LIKE '%unixepoch%')`,
    )
    // Folded as SQLite folds: beyond ASCII a capital letter is another letter.
    this.#columns = database.prepare("SELECT lower(name) FROM pragma_table_xinfo(?, 'main')").pluck()
    this.#kind = database.prepare("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'").pluck()
    this.#triggers = database
      .prepare("SELECT name FROM temp.sqlite_schema WHERE type = 'trigger' AND name GLOB '_securesql_clock_*'")
      .pluck()
  }

  /** After the schema has changed, here or on another connection, and after a rollback. */
  schemaChanged(): void {
    this.#isCurrent = false
  }

  /** Before a statement that changes data, or alters a table. */
  prepare(): void {
    if (this.#isCurrent) return
    for (const name of this.#triggers.all() as string[]) this.#database.exec(`DROP TRIGGER temp.${name}`)
    // SQLite names them in its errors, and other connections have made them more often or less.
    this.#made = 0
    const conditions = new Map<string, string[]>()
    for (const { name, sql } of this.#sources.all() as Source[]) {
      const pieces = splitStatements(sql)
      const piece = pieces.ok ? pieces.value[0] : undefined
      const calls = piece === undefined ? [] : dateCallsIn(piece)
      // Shadow tables take no triggers, and nobody but their virtual table writes into them.
      if (piece === undefined || calls.length === 0 || this.#kind.get(name) === 'shadow') continue
      const columns = new Set([...(this.#columns.all(name) as string[]), ...rowidNames])
      const texts = calls.map((call) => conditionOf(piece, call, columns))
      conditions.set(name, [...(conditions.get(name) ?? []), ...texts])
    }
    for (const [table, texts] of conditions) {
      if (!this.#canGuard(table, texts.join(' OR '))) this.#guard(table, this.#anyWord(table))
    }
    this.#isCurrent = true
  }

  /** Decided by the schema alone. SQLite resolves the names in a trigger only when a statement that fires it is prepared. */
  #canGuard(table: string, condition: string): boolean {
    try {
      this.#guard(table, condition)
      this.#database.prepare(`INSERT INTO main.${quotedName(table)} DEFAULT VALUES`)
      return true
    } catch (error) {
      if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_ERROR') throw error
      for (const event of events) this.#database.exec(`DROP TRIGGER IF EXISTS temp.${this.#nameOf(event)}`)
      return false
    }
  }

  #anyWord(table: string): string {
    const columns = (this.#columns.all(table) as string[]).map((column) => `new.${quotedName(column)}`)
    const calls: string[] = []
    for (let at = 0; at < columns.length; at += argumentsMax)
      calls.push(`_securesql_holds_clock_word(${columns.slice(at, at + argumentsMax).join(', ')})`)
    return calls.join(' OR ')
  }

  #nameOf(event: (typeof events)[number]): string {
    return `_securesql_clock_${event.toLowerCase()}_${this.#made}`
  }

  #guard(table: string, condition: string): void {
    this.#made += 1
    for (const event of events) {
      this.#database.exec(
        `CREATE TEMP TRIGGER ${this.#nameOf(event)} AFTER ${event} ON main.${quotedName(table)} WHEN ${condition}
         BEGIN SELECT RAISE(ABORT, '${clockRefused}'); END`,
      )
    }
  }
}

/** The call's arguments, with the row's values in the place of its columns. */
function conditionOf({ sql }: Piece, { name, args }: Call, columns: ReadonlySet<string>): string {
  let text = ''
  let isType = false
  for (const [at, token] of args.entries()) {
    const word = token.kind === 'word' || token.kind === 'quoted' ? tokenName(sql, token) : ''
    const before = wordOf(sql, args[at - 1])
    const next = args[at + 1]
    const following = next?.kind === 'operator' ? sql.slice(next.start, next.end) : ''
    if (wordOf(sql, token) === 'as') isType = true
    if (token.kind === 'operator' && isType && ',)'.includes(sql.slice(token.start, token.end))) isType = false
    const source = sql.slice(token.start, token.end)
    const isColumn = columns.has(word) && !isType && before !== 'collate' && following !== '('
    // A column may be written behind its table's name.
    if (word !== '' && following === '.') continue
    if (source === '.' && token.kind === 'operator') continue
    text += isColumn ? ` new.${quotedName(word)}` : ` ${source}`
  }
  return `_securesql_reads_clock('${name}'${text.trim() === '' ? '' : `,${text}`})`
}
