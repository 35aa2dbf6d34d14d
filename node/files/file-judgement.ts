// What a database file from elsewhere must be like, so that every node can go on from it: whole in all its pages and indexes, with a schema that a client could have made here,
// statement by statement, and with no row at which SQLite would begin to choose at random.
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { judgeText } from '../command/gate.ts'
import { valueBytesMax } from '../command/result-limits.ts'
import { HeavyNames } from '../store/heavy-names.ts'

interface SchemaRow {
  readonly type: unknown
  readonly name: unknown
  readonly tbl_name: unknown
  readonly sql: unknown
}

const reservedPrefix = '_securesql_'
const rowidMax = 2n ** 63n - 1n
/** Made by SQLite itself. */
const ownTables = /^sqlite_(?:sequence|stat[134])$/
const ownIndexes = /^sqlite_autoindex_/
const kinds: ReadonlySet<unknown> = new Set(['table', 'index', 'trigger', 'view'])
const rowidNames = ['rowid', '_rowid_', 'oid'] as const

/** Undefined: nothing is wrong with it. Text that SQLite throws is the caller's to catch. */
export function schemaProblem(database: Database.Database): string | undefined {
  const rows = database.prepare('SELECT type, name, tbl_name, sql FROM main.sqlite_schema').all() as SchemaRow[]
  for (const row of rows) {
    const problem = rowProblem(row)
    if (problem !== undefined) return problem
  }
  const names = new HeavyNames(database)
  names.follow()
  return names.isTooHeavy ? 'its views of views would take too long to be written out' : undefined
}

function rowProblem({ type, name, tbl_name: table, sql }: SchemaRow): string | undefined {
  if (!kinds.has(type) || typeof name !== 'string' || typeof table !== 'string') return 'its schema holds what is no part of a schema'
  // SQLite reads a name up to there, and compares no more.
  if (name.includes('\0') || table.includes('\0')) return `${shown(name)} is no name`
  const lower = name.toLowerCase()
  if (lower.startsWith(reservedPrefix) || table.toLowerCase().startsWith(reservedPrefix))
    return `names that begin with ${reservedPrefix} are reserved; make it with /db/backup instead of copying a node's file`
  if (sql === null) return type === 'index' && ownIndexes.test(lower) ? undefined : `${shown(name)} has no definition`
  if (lower.startsWith('sqlite_')) return type === 'table' && ownTables.test(lower) ? undefined : `${shown(name)} is a name of SQLite's own`
  if (typeof sql !== 'string') return `the definition of ${shown(name)} is no text`
  const judged = judgeText(sql, { for: 'execute' })
  if (!judged.ok) return `${String(type)} ${shown(name)}: ${judged.problem.message}`
  if (judged.value.length !== 1 || !/^\s*create\b/i.test(sql)) return `the definition of ${shown(name)} is no CREATE statement`
  return undefined
}

/**
 * Every page and every index entry. Only full-text tables of versions 3 and 4 that keep their texts in another table may not fit to them: clients bring that about by changing that
 * table, and a node's own backup must be of use.
 */
export function integrityProblem(database: Database.Database): string | undefined {
  // Constraints are the owner's business, and their functions may be the node's own.
  database.pragma('ignore_check_constraints = ON')
  const outside = database.prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0").all() as SchemaRow[]
  const excused = new Set(outside.filter(({ sql }) => keepsTextsElsewhere.test(String(sql))).map(({ name }) => String(name)))
  const first = firstFault(database, '1')
  if (first === undefined) return undefined
  if (typeof first === 'string' && !isExcused(first, excused)) return first
  // Whatever stands behind it has not been looked at.
  const names = database.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'").pluck().all() as string[]
  for (const name of names) {
    const fault = firstFault(database, quotedName(name))
    if (fault === undefined || (excused.has(name) && (typeof fault !== 'string' || isExcused(fault, new Set([name]))))) continue
    return typeof fault === 'string' ? fault : fault.message
  }
  return undefined
}

const keepsTextsElsewhere = /\busing\s+fts[34]\b[^]*\bcontent\s*=/i

/** `of`: how many faults, or a table. An error: a full-text table whose texts are gone refuses to be looked at, and takes the whole check with it. */
function firstFault(database: Database.Database, of: string): string | Error | undefined {
  try {
    const found: unknown = database.pragma(`main.integrity_check(${of})`, { simple: true })
    return found === 'ok' ? undefined : String(found)
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_ERROR') return error
    throw error
  }
}

/** SQLite's own words, whole: a name may hold anything. */
function isExcused(fault: string, names: ReadonlySet<string>): boolean {
  return [...names].some((name) =>
    ['FTS3', 'FTS4'].some(
      (kind) =>
        fault === `malformed inverted index for ${kind} table main.${name}` ||
        fault.startsWith(`unable to validate the inverted index for ${kind} table main.${name}: `),
    ),
  )
}

/** See store/rowid-guard.ts; a sequence at its end makes every insert fail like a full disk. */
export function rowidProblem(database: Database.Database): string | undefined {
  const tables = tablesOf(database, 'AND wr = 0')
  for (const table of tables) {
    const columns = new Set(database.prepare('SELECT lower(name) FROM pragma_table_xinfo(?)').pluck().all(table) as string[])
    const rowid = rowidNames.find((name) => !columns.has(name)) ?? keyOf(database, table)
    if (rowid === undefined) continue
    const newest: unknown = database
      .prepare(`SELECT max(${rowid}) FROM main.${quotedName(table)}`)
      .pluck()
      .safeIntegers()
      .get()
    if (newest === rowidMax) return `${shown(table)} holds rowid ${rowidMax}, beside which SQLite chooses rowids at random`
  }
  if (!tables.includes('sqlite_sequence')) return undefined
  const last: unknown = database.prepare('SELECT max(seq) FROM main.sqlite_sequence').pluck().safeIntegers().get()
  return typeof last === 'bigint' && last >= rowidMax ? 'an AUTOINCREMENT column is used up' : undefined
}

/**
 * A value that no client could write here cannot be read here either, and each node would hold it in memory, several times, whenever a statement touches its row.
 * Only what is stored is asked for: a column that is computed when it is read may call what this process does not have.
 */
export function valueProblem(database: Database.Database): string | undefined {
  for (const table of tablesOf(database)) {
    const columns = database.prepare('SELECT name FROM pragma_table_xinfo(?) WHERE hidden IN (0, 3)').pluck().all(table) as string[]
    const lengths = columns.map((column) => `max(octet_length(${quotedName(column)}))`)
    const largest = database
      .prepare(`SELECT ${lengths.join(', ')} FROM main.${quotedName(table)}`)
      .raw()
      .get() as (number | null)[]
    for (const [position, column] of columns.entries()) {
      const bytes = largest[position] ?? 0
      if (bytes > valueBytesMax)
        return `${shown(table)} holds a value of ${bytes} bytes in ${shown(column)}; a value has at most ${valueBytesMax}`
    }
  }
  return undefined
}

/** What holds rows, SQLite's own tables and those of virtual tables too. */
function tablesOf(database: Database.Database, condition = ''): readonly string[] {
  return database
    .prepare(
      `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_schema' ESCAPE '\\' ${condition}`,
    )
    .pluck()
    .all() as string[]
}

/** Where columns have taken all three names, only an INTEGER PRIMARY KEY is the rowid. */
function keyOf(database: Database.Database, table: string): string | undefined {
  const keys = database
    .prepare("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 AND lower(type) = 'integer'")
    .pluck()
    .all(table) as string[]
  return keys.length === 1 && keys[0] !== undefined ? quotedName(keys[0]) : undefined
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 64))
}
