// What is to be run of the text of a dump. The gate judges every statement but a few that each dump has: the settings around it, its own BEGIN and COMMIT, the last values of
// AUTOINCREMENT columns, and statistics. Those are known to the word; anything that looks like them only is left to the gate, which refuses it.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { GateProblem, JudgedStatement } from './gate-port.ts'
import { splitComplete, splitStatements, wordOf, type Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'

type Judge = (sql: string) => Result<readonly JudgedStatement[], GateProblem>

/** So much of the text is read in one step: some milliseconds. */
const stepCharacters = 16 * 1024

/**
 * In order, each one statement; without those that only say that all of it is one transaction without foreign keys. Yields between steps: whoever reads a long text has more to do.
 */
export function* readDump(text: string, judge: Judge): Generator<undefined, Result<readonly string[], GateProblem>> {
  const kept: string[] = []
  // What may be the end of the dump, until something comes behind it.
  let borders: Piece[] = []
  for (const piece of piecesOf(text)) {
    if (piece === undefined) {
      yield
      continue
    }
    if ('defectAt' in piece) return fail({ code: 'statement_refused', message: `unrecognized token at character ${piece.defectAt + 1}` })
    const isAtStart = kept.length === 0 && borders.length === 0
    if (isAtStart && isBorder(piece, 'begin')) continue
    if (isBorder(piece, 'commit', 'end')) {
      borders.push(piece)
      continue
    }
    for (const one of [...borders, piece]) {
      if (isStatistics(one)) continue
      const judged = isSequence(one) ? ok([]) : judge(one.sql)
      if (!judged.ok) return judged
      kept.push(one.sql)
    }
    borders = []
  }
  return ok(kept)
}

/** Undefined between two steps. A text in which a statement is longer than a step is read in longer ones. */
function* piecesOf(text: string): Iterable<Piece | undefined | { readonly defectAt: number }> {
  let at = 0
  for (let length = stepCharacters; at < text.length;) {
    const window = text.slice(at, at + length)
    if (at + length >= text.length) {
      const last = splitStatements(window)
      if (last.ok) yield* last.value
      else yield { defectAt: at + last.problem.offset }
      return
    }
    const { pieces, restAt } = splitComplete(window)
    yield* pieces
    at += restAt
    length = restAt === 0 ? length * 2 : stepCharacters
    yield undefined
  }
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
