// What whoever runs commands must know of the schema. Asked of SQLite when it is first needed, and remembered until the schema may have changed.
import type Database from 'better-sqlite3'
import { HeavyNames } from './heavy-names.ts'

export class SchemaFacts {
  readonly #mentions: Database.Statement
  readonly #statistics: Database.Statement
  readonly #heavyNames: HeavyNames
  #edition: object = {}
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

  /** The planner has statistics. */
  hasStatistics(): boolean {
    return this.#statistics.get() === 1
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
