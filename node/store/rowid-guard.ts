// No table may ever hold the rowid 2^63 - 1, not even in the middle of a statement: beside it SQLite chooses the next rowids by chance, differently on each node, and an
// AUTOINCREMENT table is full for good. TEMP triggers of this connection see every row of every insert and update, those of users' triggers and foreign-key actions too,
// and before users' own AFTER triggers do (SQLite puts TEMP triggers first). They cost about 0.3 µs a row. Looking for the rowid behind a statement would be dearer, and
// blind to a row that a trigger or REPLACE has removed again. Shadow tables of virtual tables take no triggers: those are looked at behind each statement.
// A trigger that puts that row into a virtual table, adds one without a rowid and removes the first again within one statement is not seen.
import type Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'

const rowidMax = 2n ** 63n - 1n
export const rowidRefused = `rowid ${rowidMax} is not allowed: SQLite would choose the next rowids of this table at random, differently on each node`
const aliases: readonly string[] = ['rowid', '_rowid_', 'oid']
/** Where FTS5, FTS4, R*Tree and Geopoly choose the rowids of new rows. */
const choosesRowids = /_(?:content|docsize|rowid)$/

export class RowidGuard {
  readonly #database: Database.Database
  readonly #unguarded: Database.Statement
  readonly #kind: Database.Statement
  readonly #columns: Database.Statement
  readonly #triggers: Database.Statement
  readonly #version: Database.Statement
  #versionHandedOver: unknown
  #shadows: readonly Database.Statement[] = []
  #isCurrent = false
  #made = 0

  constructor(database: Database.Database) {
    this.#database = database
    this.#unguarded = database
      .prepare(
        `SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND name NOT LIKE '\\_securesql\\_%' ESCAPE '\\' AND name NOT IN (SELECT tbl_name FROM temp.sqlite_schema WHERE type = 'trigger' AND name GLOB '_securesql_insert_*')`,
      )
      .pluck()
    this.#kind = database.prepare("SELECT type FROM pragma_table_list(?) WHERE schema = 'main' AND wr = 0").pluck()
    this.#version = database.prepare('PRAGMA main.schema_version').pluck()
    this.#triggers = database.prepare("SELECT name FROM temp.sqlite_schema WHERE type = 'trigger'").pluck()
    this.#columns = database.prepare("SELECT name, pk FROM pragma_table_xinfo(?, 'main')").raw()
  }

  /** After the schema has changed, and after a rollback: it may have taken triggers with it. */
  schemaChanged(): void {
    this.#isCurrent = false
  }

  /** Before another connection may change the schema. */
  handOver(): void {
    this.#versionHandedOver = this.#version.get()
  }

  /**
   * If it has: SQLite then neither drops nor renames what is TEMP here, and a trigger for a table that was made anew in another shape would fail.
   */
  takeBack(): void {
    if (this.#version.get() === this.#versionHandedOver) return
    for (const name of this.#triggers.all() as string[]) this.#database.exec(`DROP TRIGGER IF EXISTS temp.${quotedName(name)}`)
    if (this.#triggers.all().length > 0) this.#forgetOrphans()
    this.#isCurrent = false
  }

  /**
   * Where the other connection has dropped the table and this one has read the schema since, the trigger is gone but its row is not, and no statement drops it: it would
   * come to life again with the next table of that name. The rows are in a schema that only this connection has.
   */
  #forgetOrphans(): void {
    this.#database.unsafeMode(true)
    this.#database.pragma('writable_schema = ON')
    this.#database.exec("DELETE FROM temp.sqlite_schema WHERE type = 'trigger'")
    this.#database.pragma('writable_schema = OFF')
    this.#database.unsafeMode(false)
  }

  /** Before a statement that changes data. */
  prepare(): void {
    if (this.#isCurrent) return
    const shadows: Database.Statement[] = []
    for (const name of this.#unguarded.all() as string[]) {
      const kind = this.#kind.get(name)
      if (kind === 'table') this.#guard(name)
      if (kind === 'shadow' && choosesRowids.test(name))
        shadows.push(
          this.#database
            .prepare(`SELECT max(rowid) FROM main.${quotedName(name)}`)
            .pluck()
            .safeIntegers(),
        )
    }
    this.#shadows = shadows
    this.#isCurrent = true
  }

  /** Behind a statement that changes data: whether it must be taken back. */
  isBroken(): boolean {
    return this.#shadows.some((shadow) => shadow.get() === rowidMax)
  }

  #guard(table: string): void {
    const columns = this.#columns.all(table) as (readonly [string, number])[]
    const names = new Set(columns.map(([name]) => name.toLowerCase()))
    const keys = columns.filter(([, pk]) => pk > 0).map(([name]) => quotedName(name))
    // Where columns have taken all three names, only an INTEGER PRIMARY KEY can be set, and is the rowid.
    const rowid = aliases.find((alias) => !names.has(alias)) ?? keys[0]
    if (rowid === undefined) return
    const body = `ON main.${quotedName(table)} WHEN new.${rowid} = ${rowidMax} BEGIN SELECT RAISE(ABORT, '${rowidRefused}'); END`
    this.#made += 1
    this.#database.exec(`CREATE TEMP TRIGGER _securesql_insert_${this.#made} AFTER INSERT ${body}`)
    this.#database.exec(`CREATE TEMP TRIGGER _securesql_update_${this.#made} AFTER UPDATE OF ${[...aliases, ...keys].join(', ')} ${body}`)
  }
}
