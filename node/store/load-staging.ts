// A file that comes through the log (command/load-step.ts), as far as it has come: rows in the database like any other, so that a restart and a snapshot find them again.
// Nothing here is judged but order and completeness; the node that received the file has examined it before it proposed the first step.
// What a load that nobody ended has left is dropped by the next one, or by `load-abort`; its pages are then free for other rows, until a VACUUM gives them back (room-left.ts).
import type Database from 'better-sqlite3'
import type { LoadStep } from '../command/load-step.ts'
import type { StatementResult } from '../command/command.ts'
import type { Trace } from './state-hash.ts'

/** One row: which load, how long the file will be, how much of it is here. WITHOUT ROWID here and below: such inserts leave last_insert_rowid() as it was. */
const loadTable = '_securesql_load'
const chunkTable = '_securesql_load_chunk'
/** Which load the database was made by; it comes with the file. */
export const loadedTable = '_securesql_loaded'
export const stagingTables: readonly string[] = [loadTable, chunkTable]

/** What a step answers; the node that proposed it reads it. `load_replaced`: another load has begun since, or it was given up. `load_gap`: a step before it is missing. `load_onto_something`: it was to replace nothing, and there is something. */
export type LoadRefusal = 'load_replaced' | 'load_gap' | 'load_mismatch' | 'load_unusable' | 'load_onto_something'

interface Staged {
  readonly id: string
  readonly bytes: number
  readonly received: number
}

/** Throws what SQLite throws. Every call is made within a transaction of the caller's. */
export class LoadStaging {
  readonly #database: Database.Database
  #droppedBytes = 0

  constructor(database: Database.Database) {
    this.#database = database
  }

  /** Whether this step ends a load of which everything is here. */
  isComplete(step: LoadStep): boolean {
    if (step.kind !== 'load-end') return false
    const staged = this.#staged()
    return staged?.id === step.id && staged.received === staged.bytes && staged.bytes === step.bytes
  }

  /** Any step but the end of a complete load. `changesSchema`: handles that were prepared before are stale. */
  run(step: LoadStep): { readonly trace: Trace; readonly changesSchema: boolean } {
    const staged = this.#staged()
    switch (step.kind) {
      case 'load-begin':
        if (staged?.id === step.id) return { trace: accepted, changesSchema: false }
        this.#drop(staged)
        this.#database.exec(
          `CREATE TABLE ${loadTable} (id TEXT PRIMARY KEY, bytes INTEGER NOT NULL, received INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
        )
        this.#database.exec(`CREATE TABLE ${chunkTable} (start INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID`)
        this.#database.prepare(`INSERT INTO ${loadTable} VALUES (?, ?, 0)`).run(step.id, BigInt(step.bytes))
        return { trace: accepted, changesSchema: true }
      case 'load-chunk':
        return { trace: this.#take(step, staged), changesSchema: false }
      case 'load-end':
        // Sent once more by a node that did not hear of the first time.
        if (this.#loadedId() === step.id) return { trace: accepted, changesSchema: false }
        return { trace: refusedLoad(staged?.id === step.id ? 'load_gap' : 'load_replaced'), changesSchema: false }
      case 'load-abort':
        if (staged?.id !== step.id) return { trace: accepted, changesSchema: false }
        this.#drop(staged)
        return { trace: accepted, changesSchema: true }
    }
  }

  /** Of loads that were given up, since this was last asked. */
  takeDroppedBytes(): number {
    const bytes = this.#droppedBytes
    this.#droppedBytes = 0
    return bytes
  }

  /** The load that is under way, and how much of its file is here. */
  underWay(): Staged | undefined {
    return this.#staged()
  }

  /** In order. */
  *chunks(): Iterable<Uint8Array> {
    for (const data of this.#database.prepare(`SELECT data FROM ${chunkTable} ORDER BY start`).pluck().iterate()) {
      if (data instanceof Uint8Array) yield data
    }
  }

  #take({ id, offset, data }: Extract<LoadStep, { kind: 'load-chunk' }>, staged: Staged | undefined): Trace {
    if (staged?.id !== id) return refusedLoad('load_replaced')
    if (offset + data.length <= staged.received) return accepted // sent once more
    if (offset !== staged.received || offset + data.length > staged.bytes) return refusedLoad('load_gap')
    this.#database.prepare(`INSERT INTO ${chunkTable} VALUES (?, ?)`).run(BigInt(offset), data)
    this.#database.prepare(`UPDATE ${loadTable} SET received = ?`).run(BigInt(offset + data.length))
    return accepted
  }

  #staged(): Staged | undefined {
    if (!this.#has(loadTable)) return undefined
    return this.#database.prepare(`SELECT id, bytes, received FROM ${loadTable}`).safeIntegers(false).get() as Staged | undefined // our own STRICT table
  }

  #loadedId(): unknown {
    return this.#has(loadedTable) ? this.#database.prepare(`SELECT id FROM ${loadedTable}`).pluck().get() : undefined
  }

  #has(table: string): boolean {
    return this.#database.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?").get(table) !== undefined
  }

  #drop(staged: Staged | undefined): void {
    this.#droppedBytes += staged?.received ?? 0
    for (const table of stagingTables) this.#database.exec(`DROP TABLE IF EXISTS main.${table}`)
  }
}

const done: StatementResult = { kind: 'written', lastInsertId: 0n, rowsAffected: 0, seconds: 0 }

/** The number stands for what was done; the entry's own checksum, which is hashed before it, for the content. */
export const accepted: Trace = { result: done, effect: 1 }

export function refusedLoad(code: LoadRefusal): Trace {
  return { result: { kind: 'error', message: code, seconds: 0 }, effect: 'failed' }
}
