// What is to be run of the text of a dump. The gate judges every statement but a few that each dump has: the settings around it, its own BEGIN and COMMIT, the last values of
// AUTOINCREMENT columns, and statistics. Those are known to the word; anything that looks like them only is left to the gate, which refuses it.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { GateProblem, JudgedStatement } from './gate-port.ts'
import { splitStatements, wordOf, type Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'

type Judge = (sql: string) => Result<readonly JudgedStatement[], GateProblem>

/** In order, each one statement; without those that only say that all of it is one transaction without foreign keys. */
export function dumpStatements(text: string, judge: Judge): Result<readonly string[], GateProblem> {
  const pieces = splitStatements(text)
  if (!pieces.ok) return fail({ code: 'statement_refused', message: `unrecognized token at character ${pieces.problem.offset + 1}` })
  const kept: string[] = []
  for (const piece of inner(pieces.value)) {
    if (isStatistics(piece)) continue
    if (!isSequence(piece)) {
      const judged = judge(piece.sql)
      if (!judged.ok) return judged
    }
    kept.push(piece.sql)
  }
  return ok(kept)
}

/** Without what stands around the data. */
function inner(pieces: readonly Piece[]): readonly Piece[] {
  let first = 0
  let end = pieces.length
  while (first < end && isBorder(pieces[first], 'begin')) first += 1
  while (end > first && isBorder(pieces[end - 1], 'commit', 'end')) end -= 1
  return pieces.slice(first, end)
}

function isBorder(piece: Piece | undefined, ...transaction: readonly string[]): boolean {
  if (piece === undefined) return false
  const words = wordsOf(piece)
  const [keyword, second, ...rest] = words
  if (keyword === 'pragma') return second === 'foreign_keys' && words.length === 4 && (rest[0] === '=' || rest[0] === '(')
  if (keyword === undefined || !transaction.includes(keyword)) return false
  return words.slice(1).every((word) => word === 'transaction' || word === 'deferred' || word === 'immediate' || word === 'exclusive')
}

/** `INSERT INTO sqlite_sequence VALUES('t',5)`, as dumps write it, and no number at which SQLite would find the table full. */
function isSequence(piece: Piece): boolean {
  const [insert, into, table, values, open, name, comma, value, close] = wordsOf(piece)
  const isShaped = [insert, into, table, values, open, comma, close].join(' ') === 'insert into sqlite_sequence values ( , )'
  const kinds = [piece.tokens[5]?.kind, piece.tokens[7]?.kind]
  if (!isShaped || piece.tokens.length !== 9 || name === undefined || value === undefined) return false
  return kinds[0] === 'string' && kinds[1] === 'number' && /^\d+$/.test(value) && BigInt(value) < 2n ** 63n - 1n
}

function isStatistics(piece: Piece): boolean {
  const [keyword, second, third] = wordsOf(piece)
  if (keyword === 'analyze') return piece.tokens.length === 2 && (second === 'sqlite_schema' || second === 'sqlite_master')
  return keyword === 'insert' && second === 'into' && /^sqlite_stat[134]$/.test(third ?? '')
}

/** The first of them, lower-cased; names without their quotes. */
function wordsOf(piece: Piece): readonly string[] {
  if (wordOf(piece.sql, piece.tokens[0]) === '') return []
  return piece.tokens.slice(0, 10).map((token) => tokenName(piece.sql, token))
}
