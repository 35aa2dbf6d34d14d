// Whether a group could meet a constraint that is checked at COMMIT: a deferred foreign key. Shared by a group, such a COMMIT would fail for all because of one, or
// succeed because a later entry repaired what an earlier one broke. Only asked with foreign keys on, and only where DEFERRED is written: others never pay for it.
import type Database from 'better-sqlite3'
import type { Entry } from '../raft/entry.ts'

const word = /deferred/i

export class Deferral {
  readonly #schemaVersion: Database.Statement
  readonly #mentions: Database.Statement
  #knownVersion: unknown
  #isInSchema = false

  constructor(database: Database.Database) {
    this.#schemaVersion = database.prepare('PRAGMA schema_version').pluck()
    this.#mentions = database.prepare("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE sql LIKE '%deferred%')").pluck()
  }

  /** In the schema, or in what is about to run (which may create it). */
  isPossible(entries: readonly Entry[]): boolean {
    const version = this.#schemaVersion.get()
    if (version !== this.#knownVersion) {
      this.#isInSchema = this.#mentions.get() === 1
      this.#knownVersion = version
    }
    return (
      this.#isInSchema ||
      entries.some(({ payload }) => word.test(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('latin1')))
    )
  }
}
