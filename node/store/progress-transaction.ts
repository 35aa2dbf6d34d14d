// The transactions in which entries are applied. Each has in it, beside the data, how far the log is applied: neither is ever in the database without the other.
import type Database from 'better-sqlite3'
import type { Bookkeeping, Progress } from './bookkeeping.ts'
import { EnvironmentFailure, answerOf, isForeignKeyRefusal, runOwn } from './sqlite-failure.ts'

export class ProgressTransaction {
  readonly #database: Database.Database
  readonly #bookkeeping: Bookkeeping
  readonly #begin: Database.Statement
  readonly #commit: Database.Statement
  readonly #rollback: Database.Statement
  #progress: Progress

  /** Throws what SQLite throws when the file cannot be used. */
  constructor(database: Database.Database, bookkeeping: Bookkeeping) {
    this.#database = database
    this.#bookkeeping = bookkeeping
    this.#progress = bookkeeping.read()
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
  }

  /** As the last transaction left it. */
  get progress(): Progress {
    return this.#progress
  }

  get isOpen(): boolean {
    return this.#database.inTransaction
  }

  begin(): void {
    runOwn(() => this.#begin.run())
  }

  rollBack(): void {
    runOwn(() => this.#rollback.run())
  }

  /** A message instead: a deferred constraint does not hold, and the transaction is still open. */
  commit(progress: Progress): string | undefined {
    try {
      this.#bookkeeping.write(progress, this.#progress)
      this.#commit.run()
    } catch (error) {
      const message = answerOf(error)
      if (isForeignKeyRefusal(error)) return message
      throw new EnvironmentFailure(message, { cause: error })
    }
    this.#progress = progress
    return undefined
  }

  /** Another connection has committed. */
  readProgress(): void {
    this.#progress = runOwn(() => this.#bookkeeping.read())
  }
}
