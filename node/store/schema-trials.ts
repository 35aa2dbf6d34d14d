// How SQLite can be asked which words of a part of a schema it cannot resolve. Of a table and an index it says so when they are made. A view and a trigger it takes as they are, and
// fails when they are used: a view's query is prepared by itself; a trigger is made, what fires it is prepared, and it is taken back. A column that is added is looked at as a
// column of a new table, because SQLite takes it on trust until the table is renamed.
import Database from 'better-sqlite3'
import { wordOf, type Piece } from '../command/split.ts'
import { quotedName, tokenName } from '../command/tokenizer.ts'

/** Nothing can be said of the words of this text. */
export class InDoubt extends Error {}

export interface SchemaTrial {
  /** Where in the text its judged part begins; it goes to the end. */
  readonly start: number
  readonly part: Piece
  /** Throws SQLite's complaint of a word in `text`, which stands for the part. Changes nothing. */
  readonly attempt: (text: string) => void
}

const stand = '_securesql_trial'

/** Undefined: this is no text of which anything could be said. `stands`: the part that the text makes is in the schema already. */
export function findSchemaTrial(
  database: Database.Database,
  piece: Piece,
  { stands }: { readonly stands: boolean },
): SchemaTrial | undefined {
  const [verb, first, second] = piece.tokens.slice(0, 3).map((token) => wordOf(piece.sql, token))
  if (verb === 'alter' && first === 'table') return ofAddition(database, piece)
  if (verb !== 'create') return undefined
  const prepare = (text: string): void => void database.prepare(text)
  if (first === 'view') return ofView(piece, prepare)
  if (first === 'trigger') return database.readonly ? undefined : ofTrigger(database, piece, stands)
  const name = first === 'unique' && second === 'index' ? 3 : first === 'table' || first === 'index' ? 2 : undefined
  if (name === undefined) return undefined
  return stands ? ofStanding(piece, name, prepare) : from(piece, 0, prepare)
}

/** From the token at `position` to the end. */
function from(piece: Piece, position: number, attempt: (text: string) => void): SchemaTrial | undefined {
  const start = piece.tokens[position]?.start
  if (start === undefined) return undefined
  const tokens = piece.tokens.slice(position).map((token) => ({ ...token, start: token.start - start, end: token.end - start }))
  return { start, part: { sql: piece.sql.slice(start), tokens }, attempt }
}

/** In the schema's own words the name follows at once. */
function ofStanding(piece: Piece, name: number, prepare: (text: string) => void): SchemaTrial | undefined {
  const head = piece.sql.slice(0, piece.tokens[name]?.start)
  return from(piece, name + 1, (text) => prepare(`${head}${stand} ${text}`))
}

/** The first AS: names of columns may stand before it, but no expression. */
function ofView(piece: Piece, prepare: (text: string) => void): SchemaTrial | undefined {
  const as = piece.tokens.findIndex((token) => wordOf(piece.sql, token) === 'as')
  return as === -1 ? undefined : from(piece, as + 1, prepare)
}

/** ALTER TABLE [main.]t ADD [COLUMN] … */
function ofAddition(database: Database.Database, piece: Piece): SchemaTrial | undefined {
  const name = textAt(piece, 3) === '.' ? 4 : 2
  const add = name + 1
  if (wordOf(piece.sql, piece.tokens[add]) !== 'add') return undefined
  const columns = columnsOf(database, textAt(piece, name), 'hidden <> 1').map(quotedName)
  const definition = wordOf(piece.sql, piece.tokens[add + 1]) === 'column' ? add + 2 : add + 1
  if (columns.length === 0) return undefined
  return from(piece, definition, (text) => void database.prepare(`CREATE TABLE main.${stand} (${columns.join(', ')}, ${text}\n)`))
}

function ofTrigger(database: Database.Database, piece: Piece, stands: boolean): SchemaTrial | undefined {
  const firing = firingOf(database, piece)
  if (firing === undefined) return undefined
  const name = piece.tokens[2]
  const drop = stands && name !== undefined ? `DROP TRIGGER main.${piece.sql.slice(name.start, name.end)}` : undefined
  return from(piece, 0, (text) => {
    database.exec(`SAVEPOINT ${stand}`)
    try {
      if (drop !== undefined) database.exec(drop)
      // What is wrong without it, other triggers say.
      if (!canBePrepared(database, firing)) throw new InDoubt()
      database.exec(text)
      database.prepare(firing)
    } finally {
      // A full disk has ended the transaction already.
      if (database.inTransaction) database.exec(`ROLLBACK TO ${stand}; RELEASE ${stand}`)
    }
  })
}

function canBePrepared(database: Database.Database, sql: string): boolean {
  try {
    database.prepare(sql)
    return true
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_ERROR') return false
    throw error
  }
}

/** A statement that fires it: CREATE TRIGGER name [BEFORE | AFTER | INSTEAD OF] event [OF columns] ON [main.]table … */
function firingOf(database: Database.Database, piece: Piece): string | undefined {
  const words = piece.tokens.map((token) => wordOf(piece.sql, token))
  const event = words.findIndex((word) => word === 'insert' || word === 'update' || word === 'delete')
  const on = words.indexOf('on', event)
  const table = piece.tokens[textAt(piece, on + 2) === '.' ? on + 3 : on + 1]
  if (event === -1 || on === -1 || table === undefined) return undefined
  const target = `main.${piece.sql.slice(table.start, table.end)}`
  if (words[event] === 'insert') return `INSERT INTO ${target} DEFAULT VALUES`
  if (words[event] === 'delete') return `DELETE FROM ${target}`
  const given = words[event + 1] === 'of' ? piece.tokens[event + 2] : undefined
  const [first] = columnsOf(database, tokenName(piece.sql, table), 'hidden = 0').map(quotedName)
  const column = given === undefined ? first : piece.sql.slice(given.start, given.end)
  return column === undefined ? undefined : `UPDATE ${target} SET ${column} = NULL`
}

/** `hidden`: 0 ordinary, 1 of a virtual table, 2 and 3 generated. */
function columnsOf(database: Database.Database, table: string, condition: string): readonly string[] {
  return database.prepare(`SELECT name FROM pragma_table_xinfo(?, 'main') WHERE ${condition}`).pluck().all(table) as string[]
}

function textAt({ sql, tokens }: Piece, position: number): string {
  const token = tokens[position]
  return token === undefined ? '' : tokenName(sql, token)
}
