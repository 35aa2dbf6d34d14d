// Statistics and settings, applied by an entry of their own (command/upkeep.ts). What SQLite keeps of them in a connection's memory is brought up to date
// on every connection that applies entries, or nodes would choose other plans, and rows in another order, or check other constraints.
import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import type { Command } from '../command/command.ts'
import type { Upkeep } from '../command/upkeep.ts'
import type { Progress } from './bookkeeping.ts'
import { answerOf } from './sqlite-failure.ts'

type Settings = Pick<Progress, 'foreignKeys' | 'statisticsIndex'>

export type UpkeepRun =
  | { readonly kind: 'done'; readonly settings: Partial<Settings> }
  /** SQLite's own message; nothing was changed. */
  | { readonly kind: 'failed'; readonly message: string }

/** A table is worth looking at again when it has grown or shrunk by this factor. SQLite's own PRAGMA optimize has the same, but estimates, and minds what a connection did. */
const growth = 10

interface Measured {
  readonly name: string
  /** Of its indexes; one of them may have none yet. */
  readonly isMeasured: number
  /** How many rows the statistics speak of. */
  readonly rows: number | null
}

export class UpkeepRunner {
  readonly #database: Database.Database
  #adopted: Settings

  /** The connection knows the statistics as they are in the database, because it has just been opened. */
  constructor(database: Database.Database, settings: Settings) {
    this.#database = database
    this.#adopted = settings
    this.#setForeignKeys(settings.foreignKeys)
  }

  /** Inside a transaction that this entry has for itself; `adopt` follows behind its COMMIT. */
  run(upkeep: Upkeep, command: Command, index: number): UpkeepRun {
    switch (upkeep.kind) {
      case 'foreign-keys':
        return { kind: 'done', settings: { foreignKeys: upkeep.isOn } }
      case 'optimize':
        return this.#analyze(
          this.#changedTables().map((table) => `ANALYZE main.${quotedName(table)}`),
          index,
        )
      case 'analyze':
        return this.#analyze([upkeep.sql], index)
      case 'vacuum': {
        const judged = this.judgeVacuum(upkeep.sql, command)
        assert(judged !== 'rewrites', 'the database is written anew outside of a transaction')
        return judged
      }
    }
  }

  /** `rewrites`: it is to be done by database-rewriting.ts; otherwise what it answers, which does nothing. The same on every node. */
  judgeVacuum(sql: string, { transaction }: Pick<Command, 'transaction'>): 'rewrites' | UpkeepRun {
    if (transaction) return { kind: 'failed', message: 'cannot VACUUM from within a transaction' }
    try {
      // SQLite does nothing for the schema temp.
      return this.#database.prepare(sql).readonly ? { kind: 'done', settings: {} } : 'rewrites'
    } catch (error) {
      return { kind: 'failed', message: answerOf(error) }
    }
  }

  /** What the database says, on this connection too. */
  adopt(settings: Settings): void {
    if (settings.foreignKeys !== this.#adopted.foreignKeys) this.#setForeignKeys(settings.foreignKeys)
    if (settings.statisticsIndex !== this.#adopted.statisticsIndex) this.readSchema()
    this.#adopted = settings
  }

  /** Again, and the statistics with it, as a connection does that has just been opened. In no transaction. */
  readSchema(): void {
    this.#database.pragma('writable_schema = RESET') // nothing becomes writable
  }

  #analyze(statements: readonly string[], index: number): UpkeepRun {
    try {
      for (const sql of statements) this.#database.prepare(sql).run()
    } catch (error) {
      return { kind: 'failed', message: answerOf(error) }
    }
    dropSamples(this.#database)
    if (this.#has('sqlite_stat1')) this.#database.exec("DELETE FROM sqlite_stat1 WHERE tbl GLOB '_securesql_*'")
    return { kind: 'done', settings: { statisticsIndex: index } }
  }

  /** Tables with an index that was never measured, or that have become much larger or smaller. Decided by their content alone. */
  #changedTables(): readonly string[] {
    const hasStatistics = this.#has('sqlite_stat1')
    const stat = hasStatistics ? 'SELECT tbl, idx, stat FROM sqlite_stat1' : 'SELECT NULL AS tbl, NULL AS idx, NULL AS stat WHERE 0'
    const tables = this.#database
      .prepare(
        `WITH stat AS (${stat})
         SELECT t.name, min(i.name IN (SELECT idx FROM stat WHERE tbl = t.name)) AS isMeasured,
           (SELECT max(CAST(stat AS INTEGER)) FROM stat WHERE tbl = t.name) AS rows
         FROM main.sqlite_schema AS t JOIN main.sqlite_schema AS i ON i.tbl_name = t.name AND i.type = 'index'
         WHERE t.type = 'table' AND t.rootpage > 0 AND t.name NOT GLOB '_securesql_*' GROUP BY t.name ORDER BY t.name`,
      )
      .all() as Measured[]
    return tables.filter((table) => table.isMeasured === 0 || this.#hasChanged(table)).map(({ name }) => name)
  }

  #hasChanged({ name, rows }: Measured): boolean {
    const count = this.#database
      .prepare(`SELECT count(*) FROM main.${quotedName(name)}`)
      .pluck()
      .get() as number
    return rows === null || count > rows * growth || count * growth < rows
  }

  #has(table: string): boolean {
    return this.#database.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?").get(table) !== undefined
  }

  #setForeignKeys(isOn: boolean): void {
    this.#database.pragma(`foreign_keys = ${isOn ? 'ON' : 'OFF'}`)
  }
}

/** Of ANALYZE: they would make plans depend on the values of parameters and of the clock at the moment when a statement happens to be prepared. */
export function dropSamples(database: Database.Database): void {
  const hasSamples = database.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat4'").get() !== undefined
  if (hasSamples) database.exec('DELETE FROM main.sqlite_stat4')
}
