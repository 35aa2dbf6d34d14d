// What may not stand in a statement that goes into the log: every node runs it, at its own time and on its own connection, and all must come to the same content.
// Chance and the clock are no such thing: they come from the entry (store/replicated-functions.ts). But an index, a CHECK and a generated column must give the same
// value whenever they are asked again, so neither may stand there; SQLite says so of most of them itself, but not where they are overridden.
import { callsIn, keptExpressions, nestingOf, type Call } from './kept-expressions.ts'
import { wordOf, type Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'

/** They tell of the program, or of one connection. */
const localFunctions: ReadonlySet<string> = new Set(
  'sqlite_version sqlite_source_id sqlite_compileoption_used sqlite_compileoption_get sqlite_offset sqlite_log'.split(' '),
)
const changingFunctions: ReadonlySet<string> = new Set(
  'random randomblob current_timestamp current_date current_time changes total_changes last_insert_rowid'.split(' '),
)
const clockKeywords: ReadonlySet<string> = new Set(['current_timestamp', 'current_date', 'current_time'])
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
/** Each is looked through with all that stands in it, so a text that is nothing else would take minutes. Nobody needs a time of a time of a time. */
const nestingMax = 20
/** `now` and, standing first, `subsec` are the clock; the others take the machine's time zone. */
const clockWords: ReadonlySet<string> = new Set(['now', 'localtime', 'utc'])
const subsecondWords: ReadonlySet<string> = new Set(['subsec', 'subsecond'])

/** The name of the first function that tells of one node alone, undefined when there is none. */
export function findLocalFunction(piece: Piece): string | undefined {
  return callsIn(piece.sql, piece.tokens, (name) => localFunctions.has(name)).next().value?.name
}

/** The name of the first function or word that changes from call to call, in an index, a CHECK or a generated column; undefined when there is none. */
export function findChangingExpression(piece: Piece): string | undefined {
  const kept = keptExpressions(piece)
  const keyword = kept.map((token) => wordOf(piece.sql, token)).find((word) => clockKeywords.has(word))
  if (keyword !== undefined) return keyword
  const changing = callsIn(piece.sql, kept, (name) => changingFunctions.has(name)).next().value
  if (changing !== undefined) return changing.name
  if (nestingOf(piece.sql, kept, isDateFunction) > nestingMax) return `more than ${nestingMax} functions of time within one another`
  for (const call of callsIn(piece.sql, kept, isDateFunction)) if (readsClock(piece.sql, call)) return call.name
  return undefined
}

/** Calls of date functions in an index, a CHECK or a generated column. A value could be the text 'now' there: see store/clock-guard.ts. */
export function dateCallsIn(piece: Piece): readonly Call[] {
  return [...callsIn(piece.sql, keptExpressions(piece), isDateFunction)]
}

function isDateFunction(name: string): boolean {
  return dateFunctions.has(name)
}

/** As far as its literals tell. */
function readsClock(sql: string, { name, args }: Call): boolean {
  let count = args.length === 0 ? 0 : 1
  let depth = 0
  for (const [at, token] of args.entries()) {
    const text = tokenName(sql, token)
    if (token.kind === 'operator') {
      if (text === '(') depth += 1
      if (text === ')') depth -= 1
      if (text === ',' && depth === 0) count += 1
    }
    if (token.kind !== 'string') continue
    if (clockWords.has(text) || (subsecondWords.has(text) && (at === 0 || count === dateFunctions.get(name)))) return true
  }
  return count < (dateFunctions.get(name) ?? 0)
}
