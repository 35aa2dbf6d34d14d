// The row that says how far the log has been applied. It lives in the user's database, changed in the same transaction as the data, so the two can never disagree:
// a restart needs no rebuild and no entry is applied twice. The gate refuses every statement that names it.
import type Database from 'better-sqlite3'
import { decodeMembership, encodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { Divergence } from '../replica/state-machine.ts'
import { emptyHash, type StateHash } from './state-hash.ts'

/** Every name of ours in the user's database begins with it; the gate reserves it. */
export const bookkeepingTable = '_securesql_state'

export interface Progress {
  readonly appliedIndex: number
  readonly appliedTerm: number
  readonly membership: Membership | undefined
  /** What one long-lived connection would answer: kept here so that restarts and the borders of groups do not matter. */
  readonly lastInsertId: bigint
  readonly rowsAffected: number
  /** What this database has arrived at (state-hash.ts). Undefined: it was made by a program that kept none, and no state-hash entry has begun anew since. */
  readonly hash: StateHash | undefined
  /** Of the last command that was applied (entry-moment.ts). */
  readonly timeMs: number
  /** A setting of the cluster: every connection that applies entries has it (upkeep-runner.ts). */
  readonly foreignKeys: boolean
  /** The entry that has last changed the planner's statistics; 0: none has. */
  readonly statisticsIndex: number
  /** The time of the last VACUUM; before the first one that of the first command, 0 before that. */
  readonly vacuumedMs: number
  /** Of loads that were given up, since the database was last written anew: so much of its free pages they have left. */
  readonly loadLeftBytes: number
  /** Statements of entry appliedIndex + 1 that are already in the data; only while an entry is applied in several transactions (entry-applier.ts). */
  readonly statementsDone: number
}

/** 2 has added the hash and the divergence, 3 time, settings and statistics, 4 what VACUUM needs. */
const formatVersion = 4n

/** Creates the table when there is none and brings an older one up to date. Throws on a format that this program does not know. */
export function openBookkeeping(database: Database.Database): Bookkeeping {
  database.transaction(() => {
    database.exec(`CREATE TABLE IF NOT EXISTS ${bookkeepingTable} (
      id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, applied_index INTEGER NOT NULL, applied_term INTEGER NOT NULL,
      membership BLOB, last_insert_id INTEGER NOT NULL, rows_affected INTEGER NOT NULL, statements_done INTEGER NOT NULL) STRICT`)
    const format: unknown = database.prepare(`SELECT format FROM ${bookkeepingTable}`).pluck().get()
    if (format === undefined) database.exec(`INSERT INTO ${bookkeepingTable} VALUES (1, 1, 0, 0, NULL, 0, 0, 0)`)
    if (format === undefined || format === 1) {
      database.exec(`ALTER TABLE ${bookkeepingTable} ADD COLUMN state_hash INTEGER`)
      database.exec(`ALTER TABLE ${bookkeepingTable} ADD COLUMN divergence TEXT`)
      const hash = format === undefined ? String(toInteger(emptyHash)) : 'NULL'
      database.exec(`UPDATE ${bookkeepingTable} SET format = 2, state_hash = ${hash}`)
    }
    if (format === undefined || format === 1 || format === 2) addColumns(database, ['time_ms', 'foreign_keys', 'statistics_index'])
    if (format !== undefined && format !== 1 && format !== 2 && format !== 3) return
    addColumns(database, ['vacuumed_ms', 'load_left_bytes'])
    database.exec(`UPDATE ${bookkeepingTable} SET format = ${formatVersion}`)
  })()
  // SQLite has no call to set last_insert_rowid(); an insert into a table that only this connection sees does it.
  database.exec('CREATE TEMP TABLE _securesql_rowid (id INTEGER PRIMARY KEY)')
  return new Bookkeeping(database)
}

function addColumns(database: Database.Database, columns: readonly string[]): void {
  for (const column of columns) database.exec(`ALTER TABLE ${bookkeepingTable} ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0`)
}

export class Bookkeeping {
  readonly #select: Database.Statement
  readonly #update: Database.Statement
  readonly #updateMembership: Database.Statement
  readonly #updateSettings: Database.Statement
  readonly #updateUpkeep: Database.Statement
  readonly #updateDivergence: Database.Statement
  readonly #forgetRowid: Database.Statement
  readonly #setRowid: Database.Statement

  constructor(database: Database.Database) {
    this.#select = database.prepare(`SELECT * FROM ${bookkeepingTable}`).safeIntegers(true)
    this.#update = database.prepare(
      `UPDATE ${bookkeepingTable} SET applied_index = ?, applied_term = ?, last_insert_id = ?, rows_affected = ?, statements_done = ?, state_hash = ?, time_ms = ?`,
    )
    this.#updateMembership = database.prepare(`UPDATE ${bookkeepingTable} SET membership = ?`)
    this.#updateSettings = database.prepare(`UPDATE ${bookkeepingTable} SET foreign_keys = ?, statistics_index = ?`)
    this.#updateUpkeep = database.prepare(`UPDATE ${bookkeepingTable} SET vacuumed_ms = ?, load_left_bytes = ?`)
    this.#updateDivergence = database.prepare(`UPDATE ${bookkeepingTable} SET divergence = ?`)
    this.#forgetRowid = database.prepare('DELETE FROM temp._securesql_rowid')
    this.#setRowid = database.prepare('INSERT INTO temp._securesql_rowid VALUES (?)')
  }

  read(): Progress {
    return parseProgress(this.#select.get())
  }

  /** Inside the transaction of the data. */
  write(progress: Progress, before: Progress): void {
    const { appliedIndex, appliedTerm, lastInsertId, rowsAffected, statementsDone, hash, timeMs } = progress
    const stateHash = hash === undefined ? null : toInteger(hash)
    this.#update.run(
      BigInt(appliedIndex),
      BigInt(appliedTerm),
      lastInsertId,
      BigInt(rowsAffected),
      BigInt(statementsDone),
      stateHash,
      BigInt(timeMs),
    )
    const { foreignKeys, statisticsIndex } = progress
    if (foreignKeys !== before.foreignKeys || statisticsIndex !== before.statisticsIndex)
      this.#updateSettings.run(foreignKeys ? 1n : 0n, BigInt(statisticsIndex))
    const { vacuumedMs, loadLeftBytes } = progress
    if (vacuumedMs !== before.vacuumedMs || loadLeftBytes !== before.loadLeftBytes)
      this.#updateUpkeep.run(BigInt(vacuumedMs), BigInt(loadLeftBytes))
    if (progress.membership === before.membership || progress.membership === undefined) return
    this.#updateMembership.run(encodeMembership(progress.membership))
  }

  /** For good: only another database in its place ends it. */
  recordDivergence(divergence: Divergence): void {
    this.#updateDivergence.run(JSON.stringify(divergence))
  }

  readDivergence(): Divergence | undefined {
    const { divergence } = this.#select.get() as { readonly divergence: string | null } // one row of a STRICT table of ours
    return divergence === null ? undefined : (JSON.parse(divergence) as Divergence) // written by recordDivergence
  }

  /** Makes the connection's last_insert_rowid() what it is given. */
  setLastInsertRowid(value: bigint): void {
    this.#forgetRowid.run()
    this.#setRowid.run(value)
  }
}

function parseProgress(row: unknown): Progress {
  const fields = row as Record<string, bigint | Uint8Array | null> // one row of a STRICT table of ours
  const {
    format,
    applied_index,
    applied_term,
    membership,
    last_insert_id,
    rows_affected,
    statements_done,
    state_hash,
    time_ms,
    foreign_keys,
    statistics_index,
    vacuumed_ms,
    load_left_bytes,
  } = fields
  if (format !== formatVersion) throw new Error(`the database was written by another version of this program (format ${String(format)})`)
  return {
    appliedIndex: Number(applied_index),
    appliedTerm: Number(applied_term),
    membership: membership instanceof Uint8Array ? readMembership(membership) : undefined,
    lastInsertId: last_insert_id as bigint,
    rowsAffected: Number(rows_affected),
    statementsDone: Number(statements_done),
    timeMs: Number(time_ms),
    foreignKeys: foreign_keys === 1n,
    statisticsIndex: Number(statistics_index),
    vacuumedMs: Number(vacuumed_ms),
    loadLeftBytes: Number(load_left_bytes),
    hash: typeof state_hash === 'bigint' ? toHash(state_hash) : undefined,
  }
}

function toInteger({ high, low }: StateHash): bigint {
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))
}

function toHash(integer: bigint): StateHash {
  return { high: Number(BigInt.asUintN(32, integer >> 32n)), low: Number(BigInt.asUintN(32, integer)) }
}

function readMembership(payload: Uint8Array): Membership {
  const membership = decodeMembership(payload)
  if (!membership.ok) throw new Error(`the membership in the database cannot be read: ${membership.problem}`)
  return membership.value
}
