// What virtual tables need of whoever runs statements beside them. Full-text tables keep in memory what they have yet to write, and write it when a savepoint begins and at
// COMMIT. When the schema is read anew in the same transaction (after an ALTER, or a ROLLBACK TO behind any CREATE), SQLite goes on with another object for the same table
// and lets the old one write too, into tables that may be gone by then; and a ROLLBACK TO never tells a table that was made behind its savepoint. Either way a later
// SAVEPOINT, or the COMMIT, fails with "SQL logic error": for everything in the transaction. So tables are settled before they can become old, and where they are,
// what failed is taken back with the whole transaction.
import type Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { answerOf } from './sqlite-failure.ts'

export class VirtualTables {
  readonly #database: Database.Database
  readonly #any: Database.Statement
  readonly #names: Database.Statement
  readonly #kind: Database.Statement
  readonly #savepoint: Database.Statement
  readonly #release: Database.Statement
  #exist: boolean | undefined
  #flushes: readonly Database.Statement[] | undefined

  constructor(database: Database.Database) {
    this.#database = database
    this.#any = database.prepare("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%')").pluck(true)
    this.#names = database.prepare("SELECT name FROM main.sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%'").pluck(true)
    this.#kind = database.prepare("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'").pluck(true)
    this.#savepoint = database.prepare('SAVEPOINT _securesql_settle')
    this.#release = database.prepare('RELEASE _securesql_settle')
  }

  get exist(): boolean {
    return (this.#exist ??= this.#any.get() === 1)
  }

  /** The schema may have changed. */
  forget(): void {
    this.#exist = undefined
    this.#flushes = undefined
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
    this.#flushes ??= this.#prepareFlushes()
    for (const flush of this.#flushes) {
      try {
        flush.run()
      } catch (error) {
        // What it has to write is written already: the savepoint would have said so.
        answerOf(error)
      }
    }
    return undefined
  }

  /** FTS3 and FTS4 may put off until COMMIT to read a setting of their own (after 'optimize', say), from a table that is gone by then; told to flush, they read it. */
  #prepareFlushes(): readonly Database.Statement[] {
    return (this.#names.all() as string[])
      .filter((name) => this.#kind.get(`${name}_segdir`) === 'shadow')
      .flatMap((name) => {
        const table = quotedName(name)
        try {
          return [this.#database.prepare(`INSERT INTO main.${table} (${table}) VALUES ('flush')`)]
        } catch (error) {
          answerOf(error) // it cannot be used at all, like one whose content is gone
          return []
        }
      })
  }
}
