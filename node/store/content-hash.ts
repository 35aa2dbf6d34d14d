// One hash over everything a user can see in a database: two nodes that have applied the same entries must have the same, whatever their pages look like. Schema texts, every
// table's rows in the order of their keys with rowids and types, full-text and other shadow tables included. The bookkeeping is left out: `hashProgress` has it.
//
// What is read are the tables themselves, never an index in their place, and as they lie there: nothing is sorted. Virtual generated columns are not stored, so there is nothing of them to compare.
import { createHash, type Hash } from 'node:crypto'
import type Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { bookkeepingTable } from './bookkeeping.ts'

/** After so many bytes whoever hashes may rest. */
const stepBytes = 1024 * 1024
const bufferBytes = 64 * 1024

/** SHA-256, hexadecimal, of the connection's present transaction. Yields now and then what it has read since, in bytes. Throws what SQLite throws. */
export function* hashContent(database: Database.Database): Generator<number, string, undefined> {
  const sink = new ValueSink()
  for (const pragma of ['user_version', 'application_id', 'encoding']) sink.value(database.pragma(pragma, { simple: true }))
  for (const table of readSchema(database, sink)) yield* hashTable(database, table, sink)
  return sink.digest()
}

/** All of the bookkeeping that follows from the log alone. */
export function hashProgress(database: Database.Database): string {
  const sink = new ValueSink()
  const fields =
    'applied_index, applied_term, membership, last_insert_id, rows_affected, statements_done, state_hash, time_ms, foreign_keys, statistics_index'
  const row = database.prepare(`SELECT ${fields} FROM ${bookkeepingTable}`).raw().safeIntegers().get() as unknown[] // its one row
  for (const value of row) sink.value(value)
  return sink.digest()
}

/** Hashes the schema in order of names (its own order tells of history) and gives the tables that hold rows. */
function readSchema(database: Database.Database, sink: ValueSink): readonly string[] {
  const rows = database
    .prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name <> ? ORDER BY type, name')
    .raw()
    .all(bookkeepingTable)
  const tables: string[] = []
  for (const row of rows as [string, string, string, string | null][]) {
    for (const value of row) sink.value(value)
    const [type, name, , sql] = row
    if (type === 'table' && !/^CREATE VIRTUAL/i.test(sql ?? '')) tables.push(name)
  }
  return tables
}

interface ColumnInfo {
  readonly name: string
  /** 2: generated and not stored. */
  readonly hidden: number
}

function* hashTable(database: Database.Database, name: string, sink: ValueSink): Generator<number, void, undefined> {
  const columns = database.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').all(name) as ColumnInfo[]
  const list = database.prepare('SELECT wr FROM pragma_table_list WHERE schema = ? AND name = ?').get('main', name) as
    | { wr: number }
    | undefined
  // A generated column, too, takes the name from the rowid.
  const names = new Set(columns.map((column) => column.name.toLowerCase()))
  const stored = columns.filter(({ hidden }) => hidden !== 2).map((column) => quotedName(column.name))
  // ANALYZE writes its rows in the order in which the connection happens to hold the schema, which a restart changes: their rowids mean nothing.
  const isStatistics = name.startsWith('sqlite_stat')
  const rowid = list?.wr === 1 || isStatistics ? undefined : ['rowid', '_rowid_', 'oid'].find((alias) => !names.has(alias))
  const select = [...(rowid === undefined ? [] : [rowid]), ...stored].join(', ')
  // A table itself comes in the order of its keys. Said once more where it can be said so that nothing is sorted, which a large table has no room for.
  const order = isStatistics ? stored.join(', ') : rowid
  // Of a table without rowids the index of its key is the table, and NOT INDEXED keeps nobody from reading another one.
  const key = list?.wr === 1 ? database.prepare("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'").pluck().get(name) : undefined
  const itself = typeof key === 'string' ? `INDEXED BY ${quotedName(key)}` : 'NOT INDEXED'
  sink.value(name)
  let before = sink.bytes
  const rows = database
    .prepare(`SELECT ${select} FROM main.${quotedName(name)} ${itself}${order === undefined ? '' : ` ORDER BY ${order}`}`)
    .raw()
    .safeIntegers()
  for (const row of rows.iterate() as IterableIterator<unknown[]>) {
    for (const value of row) sink.value(value)
    if (sink.bytes - before < stepBytes) continue
    yield sink.bytes - before
    before = sink.bytes
  }
}

/** Type, length, content: no two different sequences of values give the same bytes. Gathered before they are hashed: a call for each value would cost more than the hash. */
class ValueSink {
  readonly #hash: Hash = createHash('sha256')
  readonly #buffer = Buffer.alloc(bufferBytes)
  #at = 0
  #flushed = 0

  get bytes(): number {
    return this.#flushed + this.#at
  }

  value(value: unknown): void {
    // The longest of the short ones: a kind and eight bytes.
    if (this.#at + 9 > bufferBytes) this.#flush()
    if (typeof value === 'bigint') {
      this.#buffer[this.#at] = 1
      this.#at = this.#buffer.writeBigInt64BE(value, this.#at + 1)
    } else if (typeof value === 'number') {
      this.#buffer[this.#at] = 2
      this.#at = this.#buffer.writeDoubleBE(value, this.#at + 1)
    } else if (typeof value === 'string') this.#text(value)
    else if (value instanceof Uint8Array) this.#long(4, value)
    else {
      this.#buffer[this.#at] = 5 // NULL
      this.#at += 1
    }
  }

  digest(): string {
    this.#flush()
    return this.#hash.digest('hex')
  }

  #text(text: string): void {
    if (text.length * 3 + 9 > bufferBytes - this.#at) this.#flush()
    if (text.length * 3 + 9 > bufferBytes) return this.#long(3, Buffer.from(text))
    const length = this.#buffer.write(text, this.#at + 9, 'utf8')
    this.#head(3, length)
    this.#at += length
  }

  #long(kind: number, bytes: Uint8Array): void {
    this.#head(kind, bytes.length)
    this.#flush()
    this.#hash.update(bytes)
    this.#flushed += bytes.length
  }

  #head(kind: number, length: number): void {
    this.#buffer[this.#at] = kind
    this.#at = this.#buffer.writeDoubleBE(length, this.#at + 1)
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#at))
    this.#flushed += this.#at
    this.#at = 0
  }
}
