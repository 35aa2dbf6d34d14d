// One hash over everything a user can see in a database: two nodes that have applied the same entries must have the same. Schema texts, every table's rows in the order
// of their keys with rowids and types, full-text and other shadow tables included. The bookkeeping is left out, its applied index is answered beside the hash.
import { createHash, type Hash } from 'node:crypto'
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { bookkeepingTable } from './bookkeeping.ts'

export interface DatabaseFingerprint {
  readonly appliedIndex: number
  /** SHA-256, hexadecimal. */
  readonly hash: string
}

/** Of a database that no node is writing (or between its transactions: one snapshot is read). Changes nothing. */
export function fingerprintDatabase(path: string): DatabaseFingerprint {
  const database = new Database(path, { readonly: true, fileMustExist: true })
  try {
    database.exec('BEGIN')
    const hash = createHash('sha256')
    for (const table of readSchema(database, hash)) hashTable(database, table, hash)
    const appliedIndex = Number(database.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).pluck().get())
    return { appliedIndex, hash: hash.digest('hex') }
  } finally {
    database.close()
  }
}

/** Hashes the schema in order of names (its own order tells of history) and gives the tables that hold rows. */
function readSchema(database: Database.Database, hash: Hash): readonly string[] {
  const rows = database
    .prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name <> ? ORDER BY type, name')
    .raw()
    .all(bookkeepingTable)
  const tables: string[] = []
  for (const row of rows as [string, string, string, string | null][]) {
    for (const value of row) hashValue(hash, value)
    const [type, name, , sql] = row
    if (type === 'table' && !/^CREATE VIRTUAL/i.test(sql ?? '')) tables.push(name)
  }
  return tables
}

function hashTable(database: Database.Database, name: string, hash: Hash): void {
  const columns = database.prepare('SELECT name, pk FROM pragma_table_xinfo(?)').all(name) as { name: string; pk: number }[]
  const list = database.prepare('SELECT wr FROM pragma_table_list WHERE schema = ? AND name = ?').get('main', name) as
    | { wr: number }
    | undefined
  const names = new Set(columns.map((column) => column.name.toLowerCase()))
  // ANALYZE writes its rows in the order in which the connection happens to hold the schema, which a restart changes: their rowids mean nothing.
  const hasRowid = list?.wr !== 1 && !name.startsWith('sqlite_stat')
  const rowid = !hasRowid ? undefined : ['rowid', '_rowid_', 'oid'].find((alias) => !names.has(alias))
  const keys = columns.filter((column) => column.pk > 0).toSorted((a, b) => a.pk - b.pk)
  const order = rowid ?? (keys.length > 0 ? keys : columns).map((column) => quotedName(column.name)).join(', ')
  const select = `SELECT ${rowid === undefined ? '' : `${rowid}, `}* FROM main.${quotedName(name)} ORDER BY ${order}`
  hash.update(`table ${name}\0`)
  for (const row of database.prepare(select).raw().safeIntegers().iterate() as IterableIterator<unknown[]>) {
    for (const value of row) hashValue(hash, value)
  }
}

/** Type, length, content: no two different rows give the same bytes. */
function hashValue(hash: Hash, value: unknown): void {
  if (value instanceof Uint8Array) hash.update(`blob ${value.length}\0`).update(value)
  else if (typeof value === 'string') hash.update(`text ${Buffer.byteLength(value)}\0${value}`)
  else if (typeof value === 'number') hash.update(`real ${Object.is(value, -0) ? '-0' : value}\0`)
  else hash.update(`${typeof value} ${String(value)}\0`)
}
