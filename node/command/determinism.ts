// What may not stand in a statement that goes into the log: every node runs it, at its own time and on its own connection, and all must come to the same content.
// Decided on the text alone and conservatively. A stored value is never trusted as the time of a date function: it could be the text 'now'.
// (Values for these functions that are the same on every node come later; until then refusing is the only safe answer.)
import { wordOf, type Piece } from './split.ts'
import { tokenName, type Token } from './tokenizer.ts'

const functions: ReadonlySet<string> = new Set(
  (
    'random randomblob current_timestamp current_date current_time changes total_changes last_insert_rowid sqlite_version sqlite_source_id ' +
    'sqlite_compileoption_used sqlite_compileoption_get sqlite_offset sqlite_log'
  ).split(' '),
)
const keywords: ReadonlySet<string> = new Set(['current_timestamp', 'current_date', 'current_time'])
/** Functions of time, by how many arguments they need before they read no clock. */
const dateFunctions: ReadonlyMap<string, number> = new Map([
  ['date', 1],
  ['time', 1],
  ['datetime', 1],
  ['julianday', 1],
  ['unixepoch', 1],
  ['strftime', 2],
  ['timediff', 2],
])
/** `now` and, standing alone, `subsec` are the clock; the others take the machine's time zone. */
const clockWords: ReadonlySet<string> = new Set(['now', 'subsec', 'subsecond', 'localtime', 'utc'])

/** The name of the first function or word that would differ between nodes, undefined when there is none. */
export function findNondeterminism(piece: Piece): string | undefined {
  for (const [position, token] of piece.tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'quoted' && token.kind !== 'string') continue
    const name = tokenName(piece.sql, token)
    if (token.kind === 'word' && keywords.has(name)) return name
    if (!isCall(piece, position)) continue
    if (functions.has(name)) return name
    const needed = dateFunctions.get(name)
    if (needed !== undefined && !isFixedTime(argumentsOf(piece, position), piece.sql, needed)) return name
  }
  return undefined
}

function isCall(piece: Piece, position: number): boolean {
  return textAt(piece, position + 1) === '('
}

/** Tokens between the parentheses, undefined when there are more parentheses inside or no closing one. */
function argumentsOf(piece: Piece, position: number): readonly Token[] | undefined {
  const args: Token[] = []
  for (let at = position + 2; at < piece.tokens.length; at += 1) {
    const token = piece.tokens[at]
    const text = textAt(piece, at)
    if (text === ')') return args
    if (token === undefined || text === '(') return undefined
    args.push(token)
  }
  return undefined
}

/** Literals only, none of them a word for the clock or the time zone, and enough of them. */
function isFixedTime(args: readonly Token[] | undefined, sql: string, needed: number): boolean {
  if (args === undefined || args.length === 0) return false
  let count = 1
  for (const token of args) {
    const text = tokenName(sql, token)
    if (token.kind === 'operator') {
      if (text === ',') count += 1
      else if (text !== '-' && text !== '+') return false
    } else if (token.kind === 'string') {
      if (clockWords.has(text.trim())) return false
    } else if (token.kind !== 'number') return false
  }
  return count >= needed
}

function textAt(piece: Piece, position: number): string {
  const token = piece.tokens[position]
  return token?.kind === 'operator' ? piece.sql.slice(token.start, token.end) : wordOf(piece.sql, token)
}
