// The row that says how far the log has been applied. It lives in the user's database, changed in the same transaction as the data, so the two can never disagree:
// a restart needs no rebuild and no entry is applied twice. The gate refuses every statement that names it.
import type Database from 'better-sqlite3'
import { decodeMembership, encodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'

/** Every name of ours in the user's database begins with it; the gate reserves it. */
export const bookkeepingTable = '_securesql_state'

export interface Progress {
  readonly appliedIndex: number
  readonly appliedTerm: number
  readonly membership: Membership | undefined
  /** What one long-lived connection would answer: kept here so that restarts and the borders of groups do not matter. */
  readonly lastInsertId: bigint
  readonly rowsAffected: number
  /** Statements of entry appliedIndex + 1 that are already in the data; only while an entry is applied in several transactions (see sqlite-state-machine.ts). */
  readonly statementsDone: number
}

const formatVersion = 1n

/** Creates the table when there is none. Throws on a format that this program does not know. */
export function openBookkeeping(database: Database.Database): Bookkeeping {
  database.exec(`CREATE TABLE IF NOT EXISTS ${bookkeepingTable} (
    id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, applied_index INTEGER NOT NULL, applied_term INTEGER NOT NULL,
    membership BLOB, last_insert_id INTEGER NOT NULL, rows_affected INTEGER NOT NULL, statements_done INTEGER NOT NULL) STRICT`)
  database.exec(`INSERT OR IGNORE INTO ${bookkeepingTable} VALUES (1, ${formatVersion}, 0, 0, NULL, 0, 0, 0)`)
  // SQLite has no call to set last_insert_rowid(); an insert into a table that only this connection sees does it.
  database.exec('CREATE TEMP TABLE _securesql_rowid (id INTEGER PRIMARY KEY)')
  return new Bookkeeping(database)
}

export class Bookkeeping {
  readonly #select: Database.Statement
  readonly #update: Database.Statement
  readonly #updateMembership: Database.Statement
  readonly #forgetRowid: Database.Statement
  readonly #setRowid: Database.Statement

  constructor(database: Database.Database) {
    this.#select = database.prepare(`SELECT * FROM ${bookkeepingTable}`).safeIntegers(true)
    this.#update = database.prepare(
      `UPDATE ${bookkeepingTable} SET applied_index = ?, applied_term = ?, last_insert_id = ?, rows_affected = ?, statements_done = ?`,
    )
    this.#updateMembership = database.prepare(`UPDATE ${bookkeepingTable} SET membership = ?`)
    this.#forgetRowid = database.prepare('DELETE FROM temp._securesql_rowid')
    this.#setRowid = database.prepare('INSERT INTO temp._securesql_rowid VALUES (?)')
  }

  read(): Progress {
    return parseProgress(this.#select.get())
  }

  /** Inside the transaction of the data. */
  write(progress: Progress, before: Progress): void {
    const { appliedIndex, appliedTerm, lastInsertId, rowsAffected, statementsDone } = progress
    this.#update.run(BigInt(appliedIndex), BigInt(appliedTerm), lastInsertId, BigInt(rowsAffected), BigInt(statementsDone))
    if (progress.membership === before.membership || progress.membership === undefined) return
    this.#updateMembership.run(encodeMembership(progress.membership))
  }

  /** Makes the connection's last_insert_rowid() what it is given. */
  setLastInsertRowid(value: bigint): void {
    this.#forgetRowid.run()
    this.#setRowid.run(value)
  }
}

function parseProgress(row: unknown): Progress {
  const fields = row as Record<string, bigint | Uint8Array | null> // one row of a STRICT table of ours
  const { format, applied_index, applied_term, membership, last_insert_id, rows_affected, statements_done } = fields
  if (format !== formatVersion) throw new Error(`the database was written by another version of this program (format ${String(format)})`)
  return {
    appliedIndex: Number(applied_index),
    appliedTerm: Number(applied_term),
    membership: membership instanceof Uint8Array ? readMembership(membership) : undefined,
    lastInsertId: last_insert_id as bigint,
    rowsAffected: Number(rows_affected),
    statementsDone: Number(statements_done),
  }
}

function readMembership(payload: Uint8Array): Membership {
  const membership = decodeMembership(payload)
  if (!membership.ok) throw new Error(`the membership in the database cannot be read: ${membership.problem}`)
  return membership.value
}
