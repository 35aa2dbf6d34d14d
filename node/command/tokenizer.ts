// SQLite's lexical rules, so that the gate sees a text exactly as the engine will: what is a comment or a string for SQLite is one here, and what SQLite would
// call an illegal token ends the scan. The obvious alternative, a regular expression per rule, is what let `/**/PRAGMA` and `;PRAGMA` through elsewhere.
// Built for the engine's compile options: no TCL variables (`$a(b)`, `$a::b`), digit separators in numbers.
import { fail, ok, type Result } from '../../runtime/result.ts'

/**
 * `word`: a keyword or an unquoted identifier. `quoted`: an identifier in `"`, `` ` `` or `[]`. `string`: in `'`. Comments and white space make no token.
 */
type TokenKind = 'word' | 'quoted' | 'string' | 'blob' | 'number' | 'parameter' | 'operator' | 'semicolon'

export interface Token {
  readonly kind: TokenKind
  /** First character, counted in UTF-16 units from the start of the text. */
  readonly start: number
  /** One behind the last. */
  readonly end: number
}

/** Where the text holds something that SQLite would not read as a token. */
export interface TokenDefect {
  readonly code: 'token_unknown' | 'too_many_tokens'
  readonly offset: number
}

/** `tokensMax`: for who reads a text that nobody has read before. */
export function tokenize(text: string, { tokensMax = Infinity } = {}): Result<readonly Token[], TokenDefect> {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const space = skipBlank(text, at)
    if (space > at) {
      at = space
      continue
    }
    const token = readToken(text, at)
    if (token === undefined) return fail({ code: 'token_unknown', offset: at })
    if (tokens.length >= tokensMax) return fail({ code: 'too_many_tokens', offset: at })
    tokens.push(token)
    at = token.end
  }
  return ok(tokens)
}

/** Lower-cased text of a keyword or identifier without its quotes; the content of a string. Only ASCII is folded, as SQLite does. */
export function tokenName(text: string, token: Token): string {
  const raw = text.slice(token.start, token.end)
  if (token.kind !== 'quoted' && token.kind !== 'string') return foldAscii(raw)
  const quote = raw[0] ?? ''
  const inner = raw.slice(1, -1)
  return foldAscii(quote === '[' ? inner : inner.replaceAll(quote + quote, quote))
}

/** `name` as an identifier of a statement, whatever is in it: the other way round than `tokenName`. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Nearly all names are lower-cased already, or ASCII alone. */
function foldAscii(text: string): string {
  if (!/[A-Z]/.test(text)) return text
  return /[\u0080-\uffff]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text.toLowerCase()
}

/** Behind white space, a byte order mark and comments that start at `at`; `at` itself when there is none. */
function skipBlank(text: string, at: number): number {
  const code = text.charCodeAt(at)
  // SQLite takes a byte order mark for white space wherever a token could start.
  if (code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0c || code === 0x0d || code === 0xfeff) return at + 1
  if (text.startsWith('--', at)) {
    const newline = text.indexOf('\n', at)
    return newline === -1 ? text.length : newline
  }
  // `/*` at the very end is a division and a star; an unclosed comment runs to the end.
  if (text.startsWith('/*', at) && at + 2 < text.length) {
    const close = text.indexOf('*/', at + 2)
    return close === -1 ? text.length : close + 2
  }
  return at
}

function readToken(text: string, at: number): Token | undefined {
  const character = text[at] ?? ''
  if (character === ';') return { kind: 'semicolon', start: at, end: at + 1 }
  if (character === "'") return closed('string', at, quotedEnd(text, at, "'"))
  if (character === '"' || character === '`') return closed('quoted', at, quotedEnd(text, at, character))
  if (character === '[') return closed('quoted', at, text.indexOf(']', at) + 1)
  if ((character === 'x' || character === 'X') && text[at + 1] === "'") return closed('blob', at, blobEnd(text, at))
  if (isDigit(character) || (character === '.' && isDigit(text[at + 1] ?? ''))) return closed('number', at, numberEnd(text, at))
  if (isWordStart(character)) return { kind: 'word', start: at, end: wordEnd(text, at + 1) }
  if (character === '?') return { kind: 'parameter', start: at, end: digitsEnd(text, at + 1) }
  if (character === ':' || character === '@' || character === '$') {
    const end = wordEnd(text, at + 1)
    return end === at + 1 ? undefined : { kind: 'parameter', start: at, end }
  }
  const length = operatorLength(text, at)
  return length === 0 ? undefined : { kind: 'operator', start: at, end: at + length }
}

function closed(kind: TokenKind, start: number, end: number): Token | undefined {
  return end <= start ? undefined : { kind, start, end }
}

/** 0: never closed. The quote itself is written twice inside. */
function quotedEnd(text: string, at: number, quote: string): number {
  let from = at + 1
  for (;;) {
    const close = text.indexOf(quote, from)
    if (close === -1) return 0
    if (text[close + 1] !== quote) return close + 1
    from = close + 2
  }
}

function blobEnd(text: string, at: number): number {
  const close = text.indexOf("'", at + 2)
  const digits = text.slice(at + 2, close)
  return close !== -1 && digits.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(digits) ? close + 1 : 0
}

const numberPattern = /0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|(?:\d+(?:_\d+)*)?(?:\.(?:\d+(?:_\d+)*)?)?(?:[eE][+-]?\d+(?:_\d+)*)?/y

function numberEnd(text: string, at: number): number {
  numberPattern.lastIndex = at
  const length = numberPattern.exec(text)?.[0].length ?? 0
  const end = at + length
  // `12abc` is one illegal token, not a number and a word.
  return length > 0 && !isWordPart(text[end] ?? '') ? end : 0
}

function wordEnd(text: string, from: number): number {
  let end = from
  while (end < text.length && isWordPart(text[end] ?? '')) end += 1
  return end
}

function digitsEnd(text: string, from: number): number {
  let end = from
  while (isDigit(text[end] ?? '')) end += 1
  return end
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9'
}

function isWordStart(character: string): boolean {
  return (
    (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || character === '_' || character.charCodeAt(0) >= 0x80
  )
}

function isWordPart(character: string): boolean {
  return isWordStart(character) || isDigit(character) || character === '$'
}

const operators: readonly string[] = [
  '->>',
  '->',
  '==',
  '<=',
  '<>',
  '<<',
  '>=',
  '>>',
  '!=',
  '||',
  ...'( ) + - * / % = < > | & ~ , .'.split(' '),
]

function operatorLength(text: string, at: number): number {
  return operators.find((operator) => text.startsWith(operator, at))?.length ?? 0
}
