// SQL written for rqlite uses "double quotes" for strings. SQLite once took such a word for a string where it named no column; this build (DQS=0) refuses it, and says
// so. Its own words are the only judge of which word is meant: the word is rewritten at exactly the places where SQLite cannot resolve it, and the text prepared again.
// Only in statements on data: in a schema such a word would be stored.
import Database from 'better-sqlite3'
import type { Piece } from '../command/split.ts'
import type { Token } from '../command/tokenizer.ts'

/** Different words in one statement, and places of one word: each costs a prepare or two. More is refused as SQLite refuses it. */
const wordsMax = 64
const placesMax = 16

const complaint = /^no such column: "([^]*)" - should this be a string literal in single-quotes\?$/
const onData: ReadonlySet<string> = new Set('select values with insert replace update delete explain'.split(' '))

/** Throws what the binding throws for the text as it came in, when rewriting does not help. */
export function prepareWithDoubleQuotes(database: Database.Database, piece: Piece, keyword: string): Database.Statement {
  const strings = new Set<Token>()
  for (let words = 0; ; words += 1) {
    try {
      return database.prepare(rewritten(piece, strings))
    } catch (error) {
      const word = complainedWord(error)
      if (word === undefined || words >= wordsMax || !onData.has(keyword)) throw error
      const found = unresolvedPlaces(database, piece, strings, word)
      if (found.length === 0) throw error
      for (const token of found) strings.add(token)
    }
  }
}

function complainedWord(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? complaint.exec(error.message)?.[1] : undefined
}

/** The places where SQLite cannot resolve the word: those where it still complains of it when every other place is a string. */
function unresolvedPlaces(database: Database.Database, piece: Piece, strings: ReadonlySet<Token>, word: string): readonly Token[] {
  const places = piece.tokens.filter((token) => token.kind === 'quoted' && wordIn(piece, token) === word && !strings.has(token))
  if (places.length > placesMax) return []
  return places.filter((place) => {
    const others = new Set([...strings, ...places.filter((other) => other !== place)])
    try {
      database.prepare(rewritten(piece, others))
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
