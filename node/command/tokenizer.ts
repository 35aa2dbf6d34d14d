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
  /** What `tokenName` has found, for those who ask again: each rule of the gate asks for each name. */
  name: string | undefined
}

/** Where the text holds something that SQLite would not read as a token. */
export interface TokenDefect {
  readonly code: 'token_unknown' | 'too_many_tokens'
  readonly offset: number
}

export function tokenize(text: string): Result<readonly Token[], TokenDefect> {
  const tokens: Token[] = []
  let at = behindBlanks(text, 0)
  while (at < text.length) {
    const token = readToken(text, at, 0)
    if (token === undefined) return fail({ code: 'token_unknown', offset: at })
    tokens.push(token)
    at = behindBlanks(text, token.end)
  }
  return ok(tokens)
}

/** Lower-cased text of a keyword or identifier without its quotes; the content of a string. Only ASCII is folded, as SQLite does. */
export function tokenName(text: string, token: Token): string {
  return (token.name ??= nameIn(text, token))
}

function nameIn(text: string, { kind, start, end }: Token): string {
  if (kind !== 'quoted' && kind !== 'string') return fold(text.slice(start, end), noQuote)
  return fold(text.slice(start + 1, end - 1), text[start] === '[' ? noQuote : text.charCodeAt(start))
}

/** `name` as an identifier of a statement, whatever is in it: the other way round than `tokenName`. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

const noQuote = -1

/** With ASCII in lower case, and the quote once where it stands twice. Nearly all names are so already, or ASCII alone. */
function fold(text: string, quoteCode: number): string {
  let hasCapitals = false
  let isPlain = true
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (isCapital(code)) hasCapitals = true
    else if (code === quoteCode || code >= 0x80) isPlain = false
  }
  if (isPlain) return hasCapitals ? text.toLowerCase() : text
  return folded(text, quoteCode)
}

/** A string has up to eight million characters, and a regular expression that replaces half of them takes a second. */
function folded(text: string, quoteCode: number): string {
  const codes = new Uint16Array(text.length)
  let length = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    codes[length] = isCapital(code) ? code + 0x20 : code
    length += 1
    if (code === quoteCode) at += 1
  }
  return Buffer.from(codes.buffer, 0, 2 * length).toString('utf16le')
}

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a
}

// Each character of a text is looked at, and texts are long: by its code, in a table of what a token that begins with it can be.
const illegal = 0
const blank = 1
const letter = 2
const digit = 3
const operator = 4
const minus = 5
const slash = 6
const dot = 7
const semicolon = 8
const quote = 9
const bracket = 10
const question = 11
const prefix = 12

const classes: Readonly<Uint8Array> = (() => {
  const table = new Uint8Array(0x80)
  const put = (characters: string, kind: number): void => {
    for (const character of characters) table[character.charCodeAt(0)] = kind
  }
  put(' \t\n\f\r', blank)
  put('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', letter)
  put('0123456789', digit)
  put('()+*%=<>|&~,!', operator)
  put('-', minus)
  put('/', slash)
  put('.', dot)
  put(';', semicolon)
  put('\'"`', quote)
  put('[', bracket)
  put('?', question)
  put(':@$', prefix)
  return table
})()

/** Beyond ASCII everything is a letter to SQLite. */
function classOf(text: string, at: number): number {
  if (at >= text.length) return illegal
  const code = text.charCodeAt(at)
  return code < 0x80 ? (classes[code] ?? illegal) : letter
}

/** Behind white space, byte order marks and comments that start at `at`; `at` itself when there are none. */
export function behindBlanks(text: string, at: number): number {
  for (;;) {
    const end = behindBlank(text, at)
    if (end === at) return at
    at = end
  }
}

function behindBlank(text: string, at: number): number {
  const kind = classOf(text, at)
  if (kind === blank) return at + 1
  if (kind === minus && text.charCodeAt(at + 1) === 0x2d) {
    const newline = text.indexOf('\n', at)
    return newline === -1 ? text.length : newline
  }
  // `/*` at the very end is a division and a star; an unclosed comment runs to the end.
  if (kind === slash && text.charCodeAt(at + 1) === 0x2a && at + 2 < text.length) {
    const close = text.indexOf('*/', at + 2)
    return close === -1 ? text.length : close + 2
  }
  // SQLite takes a byte order mark for white space wherever a token could start.
  return kind === letter && text.charCodeAt(at) === 0xfeff ? at + 1 : at
}

/** The token at `at`, where no blank may stand; its offsets are counted from `from`. Undefined: SQLite would not read one there. */
export function readToken(text: string, at: number, from: number): Token | undefined {
  switch (classOf(text, at)) {
    case letter:
      return text.charCodeAt(at + 1) === 0x27 && (text[at] === 'x' || text[at] === 'X')
        ? closed('blob', blobEnd(text, at), at, from)
        : closed('word', wordEnd(text, at + 1), at, from)
    case digit:
      return closed('number', numberEnd(text, at), at, from)
    case dot:
      if (classOf(text, at + 1) === digit) return closed('number', numberEnd(text, at), at, from)
      return closed('operator', at + 1, at, from)
    case operator:
    case minus:
    case slash:
      return closed('operator', at + operatorLength(text, at), at, from)
    case semicolon:
      return closed('semicolon', at + 1, at, from)
    case quote:
      return closed(text.charCodeAt(at) === 0x27 ? 'string' : 'quoted', quotedEnd(text, at), at, from)
    case bracket:
      return closed('quoted', text.indexOf(']', at) + 1, at, from)
    case question:
      return closed('parameter', digitsEnd(text, at + 1), at, from)
    case prefix: {
      const end = wordEnd(text, at + 1)
      return closed('parameter', end === at + 1 ? 0 : end, at, from)
    }
    default:
      return undefined
  }
}

function closed(kind: TokenKind, end: number, at: number, from: number): Token | undefined {
  return end <= at ? undefined : { kind, start: at - from, end: end - from, name: undefined }
}

/** 0: never closed. The quote itself is written twice inside. */
function quotedEnd(text: string, at: number): number {
  const quoteCode = text.charCodeAt(at)
  const quoteText = text[at] ?? ''
  let from = at + 1
  for (;;) {
    const close = text.indexOf(quoteText, from)
    if (close === -1) return 0
    if (text.charCodeAt(close + 1) !== quoteCode) return close + 1
    from = close + 2
  }
}

function blobEnd(text: string, at: number): number {
  const close = text.indexOf("'", at + 2)
  const digits = text.slice(at + 2, close)
  return close !== -1 && digits.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(digits) ? close + 1 : 0
}

/** 0: `12abc` is one illegal token, not a number and a word. By hand: on four million `_1` the stack of a regular expression overflows. */
function numberEnd(text: string, at: number): number {
  // Nearly all numbers are digits alone.
  const plain = digitsEnd(text, at)
  if (plain > at && !isWordPart(text, plain) && classOf(text, plain) !== dot) return plain
  const end = hexadecimalEnd(text, at) ?? decimalEnd(text, at)
  return isWordPart(text, end) ? 0 : end
}

/** `0x1F`. */
function hexadecimalEnd(text: string, at: number): number | undefined {
  if (text.charCodeAt(at) !== 0x30 || (text.charCodeAt(at + 1) | 0x20) !== 0x78) return undefined
  const end = groupsEnd(text, at + 2, isHexadecimal)
  return end > at + 2 ? end : undefined
}

/** `1`, `1.`, `.5`, `1.5e-3`. */
function decimalEnd(text: string, at: number): number {
  const whole = groupsEnd(text, at, isDigit)
  const end = text.charCodeAt(whole) === 0x2e ? groupsEnd(text, whole + 1, isDigit) : whole
  if ((text.charCodeAt(end) | 0x20) !== 0x65) return end
  const sign = text.charCodeAt(end + 1)
  const digits = sign === 0x2b || sign === 0x2d ? end + 2 : end + 1
  const exponent = groupsEnd(text, digits, isDigit)
  return exponent > digits ? exponent : end
}

/** Behind digits, between two of which `_` may stand; `from` itself when there are none. */
function groupsEnd(text: string, from: number, isOne: (code: number) => boolean): number {
  let end = from
  while (isOne(text.charCodeAt(end)) || (end > from && text.charCodeAt(end) === 0x5f && isOne(text.charCodeAt(end + 1)))) end += 1
  return end
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isHexadecimal(code: number): boolean {
  return isDigit(code) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66)
}

function wordEnd(text: string, from: number): number {
  let end = from
  while (isWordPart(text, end)) end += 1
  return end
}

function digitsEnd(text: string, from: number): number {
  let end = from
  while (classOf(text, end) === digit) end += 1
  return end
}

function isWordPart(text: string, at: number): boolean {
  const kind = classOf(text, at)
  return kind === letter || kind === digit || (kind === prefix && text.charCodeAt(at) === 0x24)
}

const longOperators: readonly string[] = ['->>', '->', '==', '<=', '<>', '<<', '>=', '>>', '!=', '||']
/** `=`, `<`, `>` and `|`: what the second sign of a longer one can be. */
const secondSigns: ReadonlySet<number> = new Set([0x3d, 0x3c, 0x3e, 0x7c])

/** 0: `!` alone is none. */
function operatorLength(text: string, at: number): number {
  const long = secondSigns.has(text.charCodeAt(at + 1)) ? longOperators.find((one) => text.startsWith(one, at)) : undefined
  return long?.length ?? (text.charCodeAt(at) === 0x21 ? 0 : 1)
}
