// The transaction that entries share, or that one of them has for itself. It has in it, beside the data, how far the log is applied: neither is ever in the database without
// the other. Rolled back, not only the data but the counters, the handles and the connection's memory are as the last one left them.
import type Database from 'better-sqlite3'
import type { Bookkeeping, Progress } from './bookkeeping.ts'
import type { CommandRun, CommandRunner } from './command-runner.ts'
import { freeBytesMin, type ReadFreeBytes } from './disk-space.ts'
import type { LoadStaging } from './load-staging.ts'
import { EnvironmentFailure, answerOf, runOwn } from './sqlite-failure.ts'

export interface EntryTransactionOptions {
  readonly database: Database.Database
  readonly bookkeeping: Bookkeeping
  readonly runner: CommandRunner
  readonly staging: LoadStaging
  readonly readFreeBytes: ReadFreeBytes
}

export class EntryTransaction {
  readonly #options: EntryTransactionOptions
  readonly #begin: Database.Statement
  readonly #commit: Database.Statement
  readonly #rollback: Database.Statement
  #progress: Progress

  /** Throws what SQLite throws when the file cannot be used. */
  constructor(options: EntryTransactionOptions) {
    this.#options = options
    this.#progress = options.bookkeeping.read()
    this.#begin = options.database.prepare('BEGIN IMMEDIATE')
    this.#commit = options.database.prepare('COMMIT')
    this.#rollback = options.database.prepare('ROLLBACK')
  }

  /** As the last transaction left it. */
  get progress(): Progress {
    return this.#progress
  }

  /** Another connection has committed. */
  readProgress(): void {
    this.#progress = runOwn(() => this.#options.bookkeeping.read())
  }

  begin(): void {
    runOwn(() => this.#begin.run())
  }

  /** A message instead, with the transaction still open: a deferred constraint does not hold, or a virtual table cannot write what it kept until now. */
  commit(next: Progress): string | undefined {
    const { bookkeeping, staging } = this.#options
    const loadLeftBytes = next.loadLeftBytes + staging.takeDroppedBytes()
    const progress = { ...next, loadLeftBytes, vacuumedMs: next.vacuumedMs === 0 ? next.timeMs : next.vacuumedMs }
    runOwn(() => bookkeeping.write(progress, this.#progress))
    try {
      this.#commit.run()
    } catch (error) {
      return answerOf(error)
    }
    this.#progress = progress
    return undefined
  }

  /** Where nothing of a user's has run. */
  commitOwn(next: Progress): void {
    const refusal = this.commit(next)
    if (refusal !== undefined) throw new EnvironmentFailure(refusal)
  }

  /** As far as SQLite has not done it. */
  rollBack(): void {
    if (this.#options.database.inTransaction) runOwn(() => this.#rollback.run())
    this.restore()
  }

  /** The rest of what a statement has rolled back. Only when the disk has room is it the statement's own answer that there is none. */
  takeBack({ isFull, error }: Extract<CommandRun, { kind: 'rolled-back' }>): void {
    const message = error.kind === 'error' ? error.message : ''
    if (isFull && this.#options.readFreeBytes() < freeBytesMin) throw new EnvironmentFailure(`SQLITE_FULL: ${message}`)
    this.rollBack()
  }

  /** After a rollback, and at start: counters, connection and handles as they were when the last transaction was committed. */
  restore(): void {
    const { runner, staging } = this.#options
    staging.takeDroppedBytes()
    runner.forgetStatements()
    runner.keepLastInsertId(this.#progress.lastInsertId)
    runner.counters.rowsAffected = this.#progress.rowsAffected
  }
}
