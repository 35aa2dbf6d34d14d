// Expressions whose values SQLite keeps, or takes to be true for ever: those of an index (its WHERE too), of CHECK, of a generated column. Of the text of one CREATE or
// ALTER, as a client sends it or as the schema holds it.
import { wordOf, type Piece } from './split.ts'
import { tokenName, type Token } from './tokenizer.ts'

export interface Call {
  /** Lower-cased, without quotes. */
  readonly name: string
  /** Between the parentheses. */
  readonly args: readonly Token[]
}

/** The tokens of those expressions, in order; empty for any other statement. */
export function keptExpressions(piece: Piece): readonly Token[] {
  const words = piece.tokens.slice(0, 3).map((token) => wordOf(piece.sql, token))
  const [verb, thing, next] = words
  if (verb === 'create' && (thing === 'index' || (thing === 'unique' && next === 'index'))) return behindNames(piece)
  if ((verb !== 'create' || thing !== 'table') && verb !== 'alter') return []
  if (verb === 'create' && isCopy(piece)) return []
  const kept: Token[] = []
  for (let at = 0; at < piece.tokens.length; at += 1) {
    const word = wordOf(piece.sql, piece.tokens[at])
    if ((word !== 'check' && word !== 'as') || textAt(piece.sql, piece.tokens[at + 1]) !== '(') continue
    const end = closingAt(piece.sql, piece.tokens, at + 1)
    kept.push(...piece.tokens.slice(at + 1, end + 1))
    at = end
  }
  return kept
}

/** Of an index: a table may be called as a function is, and stands before the parenthesis of its columns. */
function behindNames({ sql, tokens }: Piece): readonly Token[] {
  const from = tokens.findIndex((token) => textAt(sql, token) === '(')
  return from === -1 ? [] : tokens.slice(from)
}

/** CREATE TABLE … AS SELECT: it has no such expressions, and its common table expressions look like them. */
function isCopy({ sql, tokens }: Piece): boolean {
  const from = tokens.findIndex((token) => wordOf(sql, token) === 'as' || textAt(sql, token) === '(')
  return wordOf(sql, tokens[from]) === 'as'
}

/** Calls of the named functions, in whatever quotes the name stands. */
export function callsIn(sql: string, tokens: readonly Token[], names: (name: string) => boolean): readonly Call[] {
  const calls: Call[] = []
  for (const [at, token] of tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'quoted') continue
    const name = tokenName(sql, token)
    if (names(name) && textAt(sql, tokens[at + 1]) === '(') calls.push({ name, args: tokens.slice(at + 2, closingAt(sql, tokens, at + 1)) })
  }
  return calls
}

/** The position of the parenthesis that closes the one at `open`; behind the end when there is none. */
function closingAt(sql: string, tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at += 1) {
    const text = textAt(sql, tokens[at])
    if (text === '(') depth += 1
    if (text === ')') depth -= 1
    if (depth === 0) return at
  }
  return tokens.length
}

function textAt(sql: string, token: Token | undefined): string {
  return token?.kind === 'operator' ? sql.slice(token.start, token.end) : ''
}
