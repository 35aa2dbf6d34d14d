// Expressions whose values SQLite keeps, or takes to be true for ever: those of an index (its WHERE too), of CHECK, of a generated column. Of the text of one CREATE or
// ALTER, as a client sends it or as the schema holds it.
import { operatorOf, wordOf, type Piece } from './split.ts'
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
    if ((word !== 'check' && word !== 'as') || operatorOf(piece.sql, piece.tokens[at + 1]) !== '(') continue
    const end = closingAt(piece.sql, piece.tokens, at + 1)
    for (const token of piece.tokens.slice(at + 1, end + 1)) kept.push(token)
    at = end
  }
  return kept
}

/** Of an index: a table may be called as a function is, and stands before the parenthesis of its columns. */
function behindNames({ sql, tokens }: Piece): readonly Token[] {
  const from = tokens.findIndex((token) => operatorOf(sql, token) === '(')
  return from === -1 ? [] : tokens.slice(from)
}

/** CREATE TABLE … AS SELECT: it has no such expressions, and its common table expressions look like them. */
function isCopy({ sql, tokens }: Piece): boolean {
  const from = tokens.findIndex((token) => wordOf(sql, token) === 'as' || operatorOf(sql, token) === '(')
  return wordOf(sql, tokens[from]) === 'as'
}

/** Calls of the named functions, in whatever quotes the name stands, one after the other: where they stand within one another, all of them together are long. */
export function* callsIn(sql: string, tokens: readonly Token[], names: Names): Generator<Call, undefined> {
  for (let at = 0; at < tokens.length; at += 1) {
    const name = calledAt(sql, tokens, at, names)
    if (name !== undefined) yield { name, args: tokens.slice(at + 2, closingAt(sql, tokens, at + 1)) }
  }
}

type Names = (name: string) => boolean

function calledAt(sql: string, tokens: readonly Token[], at: number, names: Names): string | undefined {
  const token = tokens[at]
  if (token?.kind !== 'word' && token?.kind !== 'quoted') return undefined
  const name = tokenName(sql, token)
  return names(name) && operatorOf(sql, tokens[at + 1]) === '(' ? name : undefined
}

/** How many calls of the named functions stand within one another at most. */
export function nestingOf(sql: string, tokens: readonly Token[], names: Names): number {
  const isOpenOfCall: boolean[] = []
  let nesting = 0
  let most = 0
  for (let at = 0; at < tokens.length; at += 1) {
    const text = operatorOf(sql, tokens[at])
    if (text === '(') {
      const isOfCall = at > 0 && calledAt(sql, tokens, at - 1, names) !== undefined
      isOpenOfCall.push(isOfCall)
      if (isOfCall) nesting += 1
      most = Math.max(most, nesting)
    }
    if (text === ')' && isOpenOfCall.pop() === true) nesting -= 1
  }
  return most
}

/** The position of the parenthesis that closes the one at `open`; behind the end when there is none. */
function closingAt(sql: string, tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at += 1) {
    const text = operatorOf(sql, tokens[at])
    if (text === '(') depth += 1
    if (text === ')') depth -= 1
    if (depth === 0) return at
  }
  return tokens.length
}
