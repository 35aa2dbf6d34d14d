// What is in the database, as far as whoever writes statements needs to know: read from a replica now and then, and guessed in between.
import type Database from 'better-sqlite3'

export type ColumnType = 'integer' | 'text' | 'real' | 'any'

export interface ModelColumn {
  readonly name: string
  readonly type: ColumnType
  /** Nothing can be written into a generated column. */
  readonly isGenerated: boolean
}

export interface ModelTable {
  readonly name: string
  readonly kind: 'table' | 'view' | 'full-text' | 'rtree'
  readonly hasRowid: boolean
  readonly isStrict: boolean
  readonly columns: readonly ModelColumn[]
}

export interface SchemaModel {
  readonly tables: readonly ModelTable[]
  readonly indexes: readonly string[]
  readonly triggers: readonly string[]
}

export function readSchema(database: Database.Database): SchemaModel {
  const names = (type: string): readonly string[] =>
    database.prepare('SELECT name FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL ORDER BY name').pluck().all(type) as string[]
  const list = database
    .prepare(
      `SELECT l.name, l.type, l.wr, l.strict, s.sql FROM pragma_table_list AS l JOIN sqlite_schema AS s ON s.name = l.name
       WHERE l.schema = 'main' AND l.type <> 'shadow' AND l.name NOT GLOB 'sqlite_*' AND l.name NOT GLOB '_securesql_*' ORDER BY l.name`,
    )
    .all() as { name: string; type: string; wr: number; strict: number; sql: string }[]
  const tables = list.map(({ name, type, wr, strict, sql }): ModelTable => ({
    name,
    kind: type === 'view' ? 'view' : type !== 'virtual' ? 'table' : /rtree/i.test(sql) ? 'rtree' : 'full-text',
    hasRowid: type !== 'view' && wr === 0,
    isStrict: strict === 1,
    columns: columnsOf(database, name),
  }))
  return { tables: tables.filter(({ columns }) => columns.length > 0), indexes: names('index'), triggers: names('trigger') }
}

function columnsOf(database: Database.Database, table: string): readonly ModelColumn[] {
  try {
    const rows = database.prepare('SELECT name, type, hidden FROM pragma_table_xinfo(?)').all(table) as {
      name: string
      type: string
      hidden: number
    }[]
    return rows
      .filter(({ hidden }) => hidden !== 1)
      .map(({ name, type, hidden }) => ({ name, type: typeOf(type), isGenerated: hidden > 1 }))
  } catch {
    return [] // a view of something that is gone
  }
}

function typeOf(declared: string): ColumnType {
  const type = declared.toLowerCase()
  if (type.startsWith('int')) return 'integer'
  if (type === 'text' || type === 'real') return type
  return 'any'
}
