// A database as SQL text in one transaction, as SQLite's own .dump writes it, so that its shell, rqlite and /db/load read it. In one thing it differs: a virtual table is made by
// its CREATE VIRTUAL TABLE and filled by INSERT, not by rows of the schema table and of its shadow tables, which no node here would take.
import type Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { blobLiteral, brokenTextLiteral, numberLiteral, textLiteral } from './sql-literal.ts'

export class DumpRefused extends Error {}

interface Part {
  readonly type: string
  readonly name: string
  readonly table: string
  readonly sql: string
}

interface Column {
  readonly name: string
  /** 0 ordinary, 1 of a virtual table, 2 and 3 generated. */
  readonly hidden: number
}

/** `tables`: these alone, with their indexes and triggers; empty: everything. Throws DumpRefused before the first text. */
export function* dumpText(database: Database.Database, tables: readonly string[]): Iterable<string> {
  const parts = choose(database, tables)
  const virtual = parts.filter(isVirtual)
  const fillings = virtual.map((part) => [part, fillingOf(part)] as const)
  yield 'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n'
  if (tables.length === 0) yield* settings(database)
  for (const part of parts.filter(({ type }) => type === 'table')) {
    yield statement(part.sql)
    if (!isVirtual(part)) yield* rowsOf(database, part.name, { withRowid: false })
  }
  for (const [part, filling] of fillings) {
    if (filling === 'rebuild') yield `INSERT INTO ${quotedName(part.name)}(${quotedName(part.name)}) VALUES('rebuild');\n`
    else yield* rowsOf(database, part.name, { withRowid: filling === 'rows with rowid' })
  }
  yield* sequences(database, tables)
  for (const part of parts.filter(({ type }) => type !== 'table')) yield statement(part.sql)
  yield 'COMMIT;\n'
}

function choose(database: Database.Database, tables: readonly string[]): readonly Part[] {
  const shadows = new Set(database.prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'").pluck().all())
  const all = database
    .prepare(
      "SELECT type, name, tbl_name AS \"table\", sql FROM main.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type = 'table' DESC, rowid",
    )
    .all() as Part[]
  const parts = all.filter(({ table }) => !shadows.has(table))
  if (tables.length === 0) return parts
  const wanted = new Set(tables.map((name) => name.toLowerCase()))
  const known = new Set(parts.filter(({ type }) => type === 'table').map(({ name }) => name.toLowerCase()))
  for (const name of tables) if (!known.has(name.toLowerCase())) throw new DumpRefused(`no such table: ${name}`)
  return parts.filter(({ type, table }) => type !== 'view' && wanted.has(table.toLowerCase()))
}

function isVirtual({ sql }: Part): boolean {
  return /^\s*create\s+virtual\b/i.test(sql)
}

/** Full-text tables have rows of their own, or none, or those of another table. */
function fillingOf({ name, sql }: Part): 'rows' | 'rows with rowid' | 'rebuild' {
  if (!/\busing\s+["'`[]?fts[345]\b/i.test(sql)) return /\busing\s+["'`[]?geopoly\b/i.test(sql) ? 'rows with rowid' : 'rows'
  if (/\bcontent\s*=\s*(?:''|""|[,)])/i.test(sql))
    throw new DumpRefused(`${name} is a full-text table without content, which no text can hold; take a binary backup`)
  if (/\blanguageid\s*=/i.test(sql)) throw new DumpRefused(`${name} is a full-text table with languages; take a binary backup`)
  return /\bcontent\s*=/i.test(sql) ? 'rebuild' : 'rows with rowid'
}

/** Numbers of the header that are the user's. */
function* settings(database: Database.Database): Iterable<string> {
  for (const name of ['application_id', 'user_version']) {
    const value: unknown = database.pragma(name, { simple: true })
    if (typeof value === 'number' && value !== 0) yield `PRAGMA ${name}=${value};\n`
  }
}

function statement(sql: string): string {
  // A comment to the end of the line would swallow the semicolon.
  return /--[^\n]*$/.test(sql) ? `${sql}\n;\n` : `${sql};\n`
}

function* rowsOf(database: Database.Database, table: string, { withRowid }: { readonly withRowid: boolean }): Iterable<string> {
  const all = database.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').all(table) as Column[]
  const columns = all.filter(({ hidden }) => hidden === 0).map(({ name }) => quotedName(name))
  const isPlain = columns.length === all.length && !withRowid
  const names = withRowid ? ['rowid', ...columns] : columns
  const start = `INSERT INTO ${quotedName(table)}${isPlain ? '' : `(${names.join(',')})`} VALUES(`
  const isUtf8 = database.pragma('encoding', { simple: true }) === 'UTF-8'
  // Text comes as its bytes: a string of JavaScript would have lost those that are no UTF-8.
  const selected = names.map((name) =>
    isUtf8 ? `typeof(${name}) = 'text', CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END` : `0, ${name}`,
  )
  const rows = database
    .prepare(`SELECT ${selected.join(', ')} FROM main.${quotedName(table)}`)
    .raw()
    .safeIntegers()
    .iterate()
  for (const row of rows as IterableIterator<readonly unknown[]>) {
    const values: string[] = []
    for (let at = 0; at < row.length; at += 2) values.push(literal(row[at + 1], row[at] === 1n))
    yield `${start}${values.join(',')});\n`
  }
}

function literal(value: unknown, isText: boolean): string {
  if (value === null) return 'NULL'
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return numberLiteral(value)
  if (typeof value === 'string') return textLiteral(value)
  const bytes = value as Buffer // SQLite has no other values
  if (!isText) return blobLiteral(bytes)
  const text = bytes.toString('utf8')
  return text.includes('\ufffd') && !Buffer.from(text).equals(bytes) ? brokenTextLiteral(bytes) : textLiteral(text)
}

/** Where AUTOINCREMENT goes on. */
function* sequences(database: Database.Database, tables: readonly string[]): Iterable<string> {
  if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").get() === undefined) return
  const wanted = new Set(tables.map((name) => name.toLowerCase()))
  if (tables.length === 0) yield 'DELETE FROM sqlite_sequence;\n'
  for (const row of database
    .prepare("SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer'")
    .raw()
    .safeIntegers()
    .iterate()) {
    const [name, last] = row as [string, bigint] // as the WHERE says; the name is what SQLite has put there
    if (tables.length > 0 && !wanted.has(name.toLowerCase())) continue
    if (tables.length > 0) yield `DELETE FROM sqlite_sequence WHERE name=${textLiteral(name)};\n`
    yield `INSERT INTO sqlite_sequence VALUES(${textLiteral(name)},${last});\n`
  }
}
