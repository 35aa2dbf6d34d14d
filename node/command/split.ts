// One text into single statements, at the semicolons that SQLite would stop at. What comes out is prepared as it is, one statement per prepare, so a mistake here
// can only make SQLite refuse a piece: it can never let a second statement ride along.
import { fail, ok, type Result } from '../../runtime/result.ts'
import { atOnce, type Steps } from './steps.ts'
import { behindBlanks, readToken, tokenName, type Token, type TokenDefect } from './tokenizer.ts'

export interface Piece {
  /** The statement without its closing `;`, comments and all. */
  readonly sql: string
  /** Tokens of `sql`, their offsets counted in `sql`; at least one. */
  readonly tokens: readonly Token[]
}

/** An empty list: nothing but white space, comments and semicolons. `tokensMax`: for who reads a text that nobody has read before. */
export function splitStatements(text: string, { tokensMax = Infinity } = {}): Result<readonly Piece[], TokenDefect> {
  return atOnce(splitInSteps(text, tokensMax))
}

/** The same, with pauses. */
export function* splitInSteps(text: string, tokensMax: number): Steps<Result<readonly Piece[], TokenDefect>> {
  const { pieces, rest, restAt, defect } = yield* readPieces(text, tokensMax)
  if (defect !== undefined) return fail(defect)
  return ok(rest.length === 0 ? pieces : [...pieces, { sql: text.slice(restAt), tokens: rest }])
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
  const { pieces, completeAt } = atOnce(readPieces(text, Infinity))
  return { pieces, restAt: completeAt }
}

interface Reading {
  readonly pieces: readonly Piece[]
  /** Behind the semicolon of the last of them. */
  readonly completeAt: number
  /** The tokens behind the last of them, counted from the first one, which stands at `restAt`. */
  readonly rest: readonly Token[]
  readonly restAt: number
  readonly defect: TokenDefect | undefined
}

/** So many tokens are looked at in one step: some milliseconds. */
export const stepTokens = 8_192

/** Tokens and pieces in one pass: a text can be long. */
function* readPieces(text: string, tokensMax: number): Steps<Reading> {
  const pieces: Piece[] = []
  let completeAt = 0
  let rest: Token[] = []
  let restAt = 0
  let at = behindBlanks(text, 0)
  const ended = (code?: TokenDefect['code']): Reading => ({
    pieces,
    completeAt,
    rest,
    restAt,
    defect: code === undefined ? undefined : { code, offset: at },
  })
  for (let count = 0; at < text.length; count += 1) {
    if (count % stepTokens === stepTokens - 1) yield
    if (rest.length === 0) restAt = at
    const token = readToken(text, at, restAt)
    if (token === undefined) return ended('token_unknown')
    if (count >= tokensMax) return ended('too_many_tokens')
    const end = restAt + token.end
    if (token.kind === 'semicolon' && endsStatement(text.slice(restAt, at), rest)) {
      if (rest.length > 0) pieces.push({ sql: text.slice(restAt, at), tokens: rest })
      rest = []
      completeAt = end
    } else {
      rest.push(token)
    }
    at = behindBlanks(text, end)
  }
  return ended()
}

/**
 * The semicolon behind these tokens. A trigger's body is full of semicolons: its statement ends at the one behind `; END`, which no expression can contain (CASE … END has no `;`
 * before END).
 */
function endsStatement(sql: string, tokens: readonly Token[]): boolean {
  if (!startsTrigger(sql, tokens)) return true
  return tokens.length > 2 && wordOf(sql, tokens.at(-1)) === 'end' && tokens.at(-2)?.kind === 'semicolon'
}

function startsTrigger(text: string, tokens: readonly Token[]): boolean {
  let at = 0
  if (wordOf(text, tokens[at]) === 'explain') at += wordOf(text, tokens[at + 1]) === 'query' ? 3 : 1
  if (wordOf(text, tokens[at]) !== 'create') return false
  const next = wordOf(text, tokens[at + 1])
  return next === 'trigger' || ((next === 'temp' || next === 'temporary') && wordOf(text, tokens[at + 2]) === 'trigger')
}

/** The lower-cased keyword, '' where the token is none. */
export function wordOf(text: string, token: Token | undefined): string {
  return token?.kind === 'word' ? tokenName(text, token) : ''
}

/** An operator or a parenthesis as it is written; '' for every other token, and for none. */
export function operatorOf(text: string, token: Token | undefined): string {
  return token?.kind === 'operator' ? tokenName(text, token) : ''
}

/** What the token at `position` names, whatever it is; '' behind the end. */
export function nameAt({ sql, tokens }: Piece, position: number): string {
  const token = tokens[position]
  return token === undefined ? '' : tokenName(sql, token)
}
