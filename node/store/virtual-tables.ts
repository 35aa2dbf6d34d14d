// What virtual tables need of whoever runs statements beside them. Full-text tables keep in memory what they have yet to write, and write it when a savepoint begins and at
// COMMIT. When the schema is read anew in the same transaction (after an ALTER, or a ROLLBACK TO behind any CREATE), SQLite goes on with another object for the same table
// and lets the old one write too, into tables that may be gone by then; and a ROLLBACK TO never tells a table that was made behind its savepoint. Either way a later
// SAVEPOINT, or the COMMIT, fails with "SQL logic error": for everything in the transaction. So tables are settled before they can become old, and where they are,
// what failed is taken back with the whole transaction.
// Two things more depend on when a connection was opened: triggers on a table that a virtual one has since made its own, and rows that FTS5 counts in memory alone.
// FTS4's automerge has it merge at COMMIT by what the whole transaction has added, and stays in memory when it is rolled back: it is kept at 0.
// And FTS5 calls the database corrupt when a foreign key that fits no column keeps it from writing into a table of its own.
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { answerOf } from './sqlite-failure.ts'

interface VirtualTable {
  readonly name: string
  readonly sql: string
}

/** Of a table of FTS3 or FTS4. */
interface OlderFullText {
  readonly flush: Database.Statement
  /** Undefined: it keeps no settings. */
  readonly automerge: { readonly isOn: Database.Statement; readonly stop: Database.Statement } | undefined
}

export class VirtualTables {
  readonly #database: Database.Database
  readonly #read: Database.Statement
  readonly #kind: Database.Statement
  readonly #savepoint: Database.Statement
  readonly #release: Database.Statement
  readonly #rollbackTo: Database.Statement
  readonly #triggered: Database.Statement
  readonly #referenced: Database.Statement
  #known: readonly VirtualTable[] | undefined
  #olderFullTexts: readonly OlderFullText[] | undefined

  constructor(database: Database.Database) {
    this.#database = database
    // Not by their texts: in a file that was loaded there may be a comment between the words.
    this.#read = database.prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0")
    this.#kind = database.prepare("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'").pluck(true)
    this.#savepoint = database.prepare('SAVEPOINT _securesql_settle')
    this.#release = database.prepare('RELEASE _securesql_settle')
    this.#rollbackTo = database.prepare('ROLLBACK TO _securesql_settle')
    this.#triggered = database.prepare("SELECT DISTINCT tbl_name FROM main.sqlite_schema WHERE type = 'trigger'").pluck(true)
    this.#referenced = database
      .prepare(
        `SELECT DISTINCT k."table" FROM main.sqlite_schema AS t, pragma_foreign_key_list(t.name, 'main') AS k
         WHERE t.type = 'table' AND t.sql LIKE '%references%'`,
      )
      .pluck(true)
  }

  get exist(): boolean {
    return this.#tables.length > 0
  }

  get #tables(): readonly VirtualTable[] {
    return (this.#known ??= this.#read.all() as VirtualTable[]) // a schema row has a name, and that of a virtual table a text
  }

  /** The schema may have changed. */
  forget(): void {
    this.#known = undefined
    this.#olderFullTexts = undefined
  }

  /**
   * A message: a trigger stands on what is now, by its name, a shadow table, or a foreign key refers to it. SQLite makes no trigger there, but does not look when a virtual
   * table comes to such a name, and then no connection reads the schema again. Only SQLite knows which names those are; it says so before anything else when such a table
   * is to be made.
   */
  misusedShadow(): string | undefined {
    if (!this.exist) return undefined
    const own = this.#tables.map(({ name }) => `${name.toLowerCase()}_`)
    for (const name of [...this.#triggered.all(), ...this.#referenced.all()] as string[]) {
      if (!own.some((prefix) => name.toLowerCase().startsWith(prefix))) continue
      try {
        this.#database.prepare(`CREATE TABLE main.${quotedName(name)} (a)`)
      } catch (error) {
        const message = answerOf(error)
        if (message.startsWith('object name reserved')) return message
      }
    }
    return undefined
  }

  /** The message of an error that says of the database what is only true of the schema: a foreign key refers to what would be a shadow table of one that is to be made. */
  refusalOf(error: unknown): string | undefined {
    if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_CORRUPT') return undefined
    const name = /^vtable constructor failed: ([^]*)$/.exec(error.message)?.[1]?.toLowerCase()
    if (name === undefined) return undefined
    return (this.#referenced.all() as string[]).some((parent) => parent.toLowerCase().startsWith(`${name}_`)) ? error.message : undefined
  }

  /**
   * Makes them write what they keep, within the open transaction; last_insert_rowid() and changes() may tell of that afterwards. Gives the message when one of them cannot:
   * its index is damaged, say. Then the transaction must be rolled back.
   */
  settle(): string | undefined {
    if (!this.exist) return undefined
    try {
      this.#savepoint.run()
      this.#release.run()
    } catch (error) {
      return answerOf(error)
    }
    for (const { flush, automerge } of this.#olderOnes()) {
      try {
        if (automerge?.isOn.get() === 1) automerge.stop.run()
        flush.run()
      } catch (error) {
        // What it has to write is written already: the savepoint would have said so.
        answerOf(error)
      }
    }
    if (this.#tables.some(({ sql }) => /contentless_delete/i.test(sql))) this.#forgetCounts()
    return undefined
  }

  /** A contentless FTS5 table counts rows that hold no word with those of the next ones that do, as long as it is open: a part of its index says how many. */
  #forgetCounts(): void {
    this.#savepoint.run()
    this.#rollbackTo.run()
    this.#release.run()
  }

  /** Behind what has failed: what it has set is not in the database. */
  forgetSettings(): void {
    if (!this.exist) return
    for (const { automerge } of this.#olderOnes()) {
      if (automerge === undefined) continue
      try {
        this.#savepoint.run()
        automerge.stop.run()
      } catch (error) {
        answerOf(error)
      }
      if (!this.#database.inTransaction) continue
      this.#rollbackTo.run()
      this.#release.run()
    }
  }

  /** They may put off until COMMIT to read a setting of their own (after 'optimize', say), from a table that is gone by then; told to flush, they read it. */
  #olderOnes(): readonly OlderFullText[] {
    return (this.#olderFullTexts ??= this.#tables
      .filter(({ name }) => this.#kind.get(`${name}_segdir`) === 'shadow')
      .flatMap(({ name }) => {
        try {
          return [this.#olderFullText(name)]
        } catch (error) {
          answerOf(error) // it cannot be used at all, like one whose content is gone
          return []
        }
      }))
  }

  #olderFullText(name: string): OlderFullText {
    const tell = (command: string): Database.Statement => this.#database.prepare(`INSERT INTO main.${quotedName(name)} (${quotedName(name)}) VALUES ('${command}')`) // prettier-ignore
    const settings = `${name}_stat`
    if (this.#kind.get(settings) !== 'shadow') return { flush: tell('flush'), automerge: undefined }
    const isOn = this.#database
      .prepare(`SELECT EXISTS (SELECT 1 FROM main.${quotedName(settings)} WHERE id = 2 AND value <> 0)`)
      .pluck(true)
    return { flush: tell('flush'), automerge: { isOn, stop: tell('automerge=0') } }
  }
}
