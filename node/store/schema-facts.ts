// What whoever runs commands must know of the schema. Asked of SQLite when it is first needed, and remembered until the schema may have changed.
import type Database from 'better-sqlite3'
import { HeavyNames } from './heavy-names.ts'

export class SchemaFacts {
  readonly #mentions: Database.Statement
  readonly #statistics: Database.Statement
  readonly #heavyNames: HeavyNames
  #edition: object = {}
  #changes = 0
  #mentionsChanges: boolean | undefined
  #knowsNames = false

  constructor(database: Database.Database) {
    this.#mentions = database.prepare("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE sql LIKE '%changes%')").pluck(true)
    this.#statistics = database.prepare("SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat1')").pluck(true)
    this.#heavyNames = new HeavyNames(database)
  }

  /** Another object whenever the schema, or a setting that plans depend on, may have changed. */
  get edition(): object {
    return this.#edition
  }

  /** Something in it may tell changes() or total_changes(). */
  get mentionsChanges(): boolean {
    return (this.#mentionsChanges ??= this.#mentions.get() === 1)
  }

  /** Statements that have begun to change it, also those that were taken back. */
  get changes(): number {
    return this.#changes
  }

  countChange(): void {
    this.#changes += 1
  }

  /**
   * Whether it may have changed since there were so many changes, and there are statistics: what SQLite knows of tables' sizes then depends on when the connection has read
   * the schema, because a new table or index takes the defaults, where a reader finds rows of another one that had its name, and a dropped index leaves its table's size behind.
   */
  mayKnowOtherSizes(changes: number): boolean {
    return this.#changes > changes && this.#statistics.get() === 1
  }

  /** Preparing the text may take long by itself (heavy-names.ts). */
  mayBeHeavy(text: string): boolean {
    if (!this.#knowsNames) this.#heavyNames.follow()
    this.#knowsNames = true
    return this.#heavyNames.mayBeIn(text)
  }

  /** It may have changed. */
  forget(): void {
    this.#edition = {}
    this.#mentionsChanges = undefined
    this.#knowsNames = false
  }
}
