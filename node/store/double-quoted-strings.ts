// SQL written for rqlite uses "double quotes" for strings. SQLite once took such a word for a string where it named no column; this build (DQS=0) refuses it, and says
// so. Its own words are the only judge of which word is meant: the word is rewritten at exactly the places where SQLite cannot resolve it, and the text prepared again.
// In a schema the rewritten text is what is stored: all nodes rewrite it at the same entry, under the same schema, and so alike.
import Database from 'better-sqlite3'
import { findChangingExpression } from '../command/determinism.ts'
import { splitStatements, wordOf, type Piece } from '../command/split.ts'
import type { Token } from '../command/tokenizer.ts'
import { findSchemaTrial, InDoubt } from './schema-trials.ts'

/** Of one statement: so many characters are prepared, some tenths of a second at most. What would need more is refused as SQLite refuses it. */
const charactersMax = 4 * 1024 * 1024
const attemptsMin = 8

const complaint = /^no such column: "([^]*)" - should this be a string literal in single-quotes\?$/
const onData: ReadonlySet<string> = new Set('select values with insert replace update delete explain'.split(' '))

/** Throws what the binding throws for the text as it came in, when rewriting does not help. */
export function prepareWithDoubleQuotes(database: Database.Database, piece: Piece, keyword: string): Database.Statement {
  if (!onData.has(keyword)) return database.prepare(schemaText(database, piece, { stands: false }))
  return resolve(piece, (text) => database.prepare(text)).made
}

/** Whether preparing it tries it in the database first, and takes it back: only in a connection that applies what is committed, or is a copy. */
export function isTriedOut({ sql, tokens }: Piece): boolean {
  return wordOf(sql, tokens[0]) === 'create' && wordOf(sql, tokens[1]) === 'trigger' && sql.includes('"')
}

/**
 * As what a statement that makes or alters a part of the schema is to be run, or to stand in the schema: the text itself wherever there is nothing to rewrite, or any doubt.
 * `stands`: the part is in the schema already.
 */
export function schemaText(database: Database.Database, piece: Piece, how: { readonly stands: boolean }): string {
  if (!piece.sql.includes('"')) return piece.sql
  const trial = findSchemaTrial(database, piece, how)
  if (trial === undefined) return piece.sql
  try {
    const { text, isRewritten } = resolve(trial.part, trial.attempt)
    const whole = piece.sql.slice(0, trial.start) + text
    return isRewritten && mayBeKept(whole) ? whole : piece.sql
  } catch (error) {
    if (error instanceof InDoubt || (error instanceof Database.SqliteError && error.code === 'SQLITE_ERROR')) return piece.sql
    throw error
  }
}

/** The gate has seen a name where now a string stands: "now", of a function that reads the clock. */
function mayBeKept(text: string): boolean {
  const split = splitStatements(text)
  return split.ok && split.value.every((piece) => findChangingExpression(piece) === undefined)
}

interface Resolved<Made> {
  readonly text: string
  readonly isRewritten: boolean
  readonly made: Made
}

/** Throws what `attempt` throws when no string helps. */
function resolve<Made>(piece: Piece, attempt: (text: string) => Made): Resolved<Made> {
  let strings: ReadonlySet<Token> = new Set()
  let attemptsLeft = Math.max(attemptsMin, Math.floor(charactersMax / piece.sql.length))
  for (let isFirst = true; ; isFirst = false) {
    try {
      const text = rewritten(piece, strings)
      return { text, isRewritten: strings.size > 0, made: attempt(text) }
    } catch (error) {
      const word = complainedWord(error)
      if (word === undefined) throw error
      const rows = isFirst ? rowsOf(piece) : []
      const places = rows.length > 0 ? [] : placesOf(piece, strings, word)
      attemptsLeft -= 1 + places.length
      if (attemptsLeft < 0) throw error
      const unresolved = rows.length > 0 ? rows : places.length === 1 ? places : unresolvedPlaces({ piece, attempt, strings, word, places })
      if (unresolved.length === 0) throw error
      strings = new Set([...strings, ...unresolved])
    }
  }
}

/** In the rows of an INSERT there is no column that a word could mean: all of them are strings at once, however many rows there are. */
function rowsOf(piece: Piece): readonly Token[] {
  const words = piece.tokens.map((token) => wordOf(piece.sql, token))
  const from = words.indexOf('values')
  if ((words[0] !== 'insert' && words[0] !== 'replace') || from === -1 || words.includes('select')) return []
  const behind = words.findIndex((word, at) => at > from && (word === 'on' || word === 'returning'))
  const rows = piece.tokens.slice(from, behind === -1 ? undefined : behind)
  return rows.filter((token, at) => {
    const next = rows[at + 1]
    const following = next === undefined ? '' : piece.sql.slice(next.start, next.end)
    const before = rows[at - 1]
    const isQualified = following === '.' || (before !== undefined && piece.sql.slice(before.start, before.end) === '.')
    return wordIn(piece, token) !== undefined && !isQualified && following !== '('
  })
}

function placesOf(piece: Piece, strings: ReadonlySet<Token>, word: string): readonly Token[] {
  return piece.tokens.filter((token) => token.kind === 'quoted' && wordIn(piece, token) === word && !strings.has(token))
}

/** Of an error of SQLite's: it would be none if a word in double quotes were a string. */
export function isComplaint(error: unknown): boolean {
  return complainedWord(error) !== undefined
}

function complainedWord(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? complaint.exec(error.message)?.[1] : undefined
}

interface Search {
  readonly piece: Piece
  readonly attempt: (text: string) => unknown
  readonly strings: ReadonlySet<Token>
  readonly word: string
  readonly places: readonly Token[]
}

/** The places where SQLite cannot resolve the word: those where it still complains of it when every other place is a string. */
function unresolvedPlaces({ piece, attempt, strings, word, places }: Search): readonly Token[] {
  return places.filter((place) => {
    const others = new Set([...strings, ...places.filter((other) => other !== place)])
    try {
      attempt(rewritten(piece, others))
      return false
    } catch (error) {
      return complainedWord(error) === word
    }
  })
}

/** Undefined: not in double quotes. */
function wordIn(piece: Piece, token: Token): string | undefined {
  const text = piece.sql.slice(token.start, token.end)
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : undefined
}

function rewritten(piece: Piece, strings: ReadonlySet<Token>): string {
  if (strings.size === 0) return piece.sql
  let text = ''
  let at = 0
  for (const token of piece.tokens) {
    if (!strings.has(token)) continue
    text += `${piece.sql.slice(at, token.start)}'${(wordIn(piece, token) ?? '').replaceAll("'", "''")}'`
    at = token.end
  }
  return text + piece.sql.slice(at)
}
