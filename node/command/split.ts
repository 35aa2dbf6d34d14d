// One text into single statements, at the semicolons that SQLite would stop at. What comes out is prepared as it is, one statement per prepare, so a mistake here
// can only make SQLite refuse a piece: it can never let a second statement ride along.
import { fail, ok, type Result } from '../../runtime/result.ts'
import { tokenName, tokenize, type Token, type TokenDefect } from './tokenizer.ts'

export interface Piece {
  /** The statement without its closing `;`, comments and all. */
  readonly sql: string
  /** Tokens of `sql`, their offsets counted in `sql`; at least one. */
  readonly tokens: readonly Token[]
}

/** An empty list: nothing but white space, comments and semicolons. */
export function splitStatements(text: string, limits?: { readonly tokensMax: number }): Result<readonly Piece[], TokenDefect> {
  const tokens = tokenize(text, limits)
  if (!tokens.ok) return fail(tokens.problem)
  const { pieces, rest } = splitTokens(text, tokens.value)
  addPiece(pieces, text, rest, text.length)
  return ok(pieces)
}

export interface Complete {
  readonly pieces: readonly Piece[]
  /** Where the text goes on behind the last of them. */
  readonly restAt: number
}

/**
 * Of a text that may break off anywhere, what ends before that: where the text goes on, only its last token can turn out to be another, and that is in the rest.
 */
export function splitComplete(text: string): Complete {
  const tokens = tokenize(text)
  return tokens.ok ? splitTokens(text, tokens.value) : splitComplete(text.slice(0, tokens.problem.offset))
}

function splitTokens(
  text: string,
  tokens: readonly Token[],
): { readonly pieces: Piece[]; readonly rest: readonly Token[]; readonly restAt: number } {
  const pieces: Piece[] = []
  let first = 0
  let restAt = 0
  for (const [position, token] of tokens.entries()) {
    if (token.kind !== 'semicolon' || !endsStatement(text, tokens, first, position)) continue
    addPiece(pieces, text, tokens.slice(first, position), token.start)
    first = position + 1
    restAt = token.end
  }
  return { pieces, rest: tokens.slice(first), restAt }
}

function addPiece(pieces: Piece[], text: string, tokens: readonly Token[], end: number): void {
  const start = tokens[0]?.start
  if (start === undefined) return
  pieces.push({
    sql: text.slice(start, end),
    tokens: tokens.map((token) => ({ kind: token.kind, start: token.start - start, end: token.end - start })),
  })
}

/** A trigger's body is full of semicolons: its statement ends at the one behind `; END`, which no expression can contain (CASE … END has no `;` before END). */
function endsStatement(text: string, tokens: readonly Token[], first: number, position: number): boolean {
  if (!startsTrigger(text, tokens, first)) return true
  const end = tokens[position - 1]
  return end !== undefined && wordOf(text, end) === 'end' && tokens[position - 2]?.kind === 'semicolon' && position - 2 > first
}

function startsTrigger(text: string, tokens: readonly Token[], first: number): boolean {
  let at = first
  if (wordOf(text, tokens[at]) === 'explain') at += wordOf(text, tokens[at + 1]) === 'query' ? 3 : 1
  if (wordOf(text, tokens[at]) !== 'create') return false
  const next = wordOf(text, tokens[at + 1])
  return next === 'trigger' || ((next === 'temp' || next === 'temporary') && wordOf(text, tokens[at + 2]) === 'trigger')
}

/** The lower-cased keyword, '' where the token is none. */
export function wordOf(text: string, token: Token | undefined): string {
  return token?.kind === 'word' ? tokenName(text, token) : ''
}
