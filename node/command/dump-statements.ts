// What is to be run of the text of a dump. The gate judges every statement but a few that each dump has: the settings around it, its own BEGIN and COMMIT, the last values of
// AUTOINCREMENT columns, statistics, and what the sqlite3 shell writes of a virtual table: a row of the schema table. Those are known to the word; anything that looks like
// them only is left to the gate, which refuses it.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { GateProblem, JudgeText } from './gate-port.ts'
import { splitComplete, splitStatements, wordOf, type Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'
import { upkeepIn } from './upkeep.ts'

export type DumpStatement =
  /** The gate takes it, or it is one of a dump's own. */
  | { readonly kind: 'statement'; readonly piece: Piece }
  /** A row of the schema table that makes a virtual table; the gate takes the CREATE VIRTUAL TABLE in it. */
  | { readonly kind: 'virtual-table'; readonly piece: Piece }
  | { readonly kind: 'refused'; readonly problem: GateProblem }

/** So much of the text is read in one step: some milliseconds. */
const stepCharacters = 16 * 1024

/**
 * In order, without those that only say that all of it is one transaction without foreign keys. Undefined between steps: whoever reads a long text has more to do. Ends with the
 * first that is refused. `chunks`: the text, cut anywhere.
 */
export function* dumpStatements(chunks: Iterable<string>, judge: JudgeText): Generator<DumpStatement | undefined> {
  // What may be the end of the dump, until something comes behind it.
  let borders: Piece[] = []
  let isAtStart = true
  for (const piece of piecesOf(chunks)) {
    if (piece === undefined) {
      yield
      continue
    }
    if ('defectAt' in piece) {
      const message = `unrecognized token at character ${piece.defectAt + 1}`
      return yield { kind: 'refused', problem: { code: 'statement_refused', message } }
    }
    if (isAtStart && isBorder(piece, 'begin')) continue
    if (isBorder(piece, 'commit', 'end')) {
      isAtStart = false
      borders.push(piece)
      continue
    }
    for (const one of [...borders, piece]) {
      const read = readPiece(one, judge)
      if (read === undefined) continue
      isAtStart = false
      yield read
      if (read.kind === 'refused') return
    }
    borders = []
  }
}

/** `as-file`: it holds virtual tables as the shell writes them, which no statement can make where there is a database already. */
export function* readDump(text: string, judge: JudgeText): Generator<undefined, Result<readonly string[] | 'as-file', GateProblem>> {
  const kept: string[] = []
  let isFile = false
  for (const read of dumpStatements([text], judge)) {
    if (read === undefined) yield
    else if (read.kind === 'refused') return fail(read.problem)
    else if (read.kind !== 'statement') isFile = true
    else kept.push(read.piece.sql)
  }
  return ok(isFile ? 'as-file' : kept)
}

/** Undefined: it is left out. */
function readPiece(piece: Piece, judge: JudgeText): DumpStatement | undefined {
  if (!isOfDump(piece)) return ofGate(piece, piece.sql, judge)
  if (isStatistics(piece) || isWritableSchema(piece)) return undefined
  if (isSequence(piece)) return { kind: 'statement', piece }
  const definition = virtualTableIn(piece)
  if (definition === undefined) return ofGate(piece, piece.sql, judge)
  const read = ofGate(piece, definition, judge)
  return read.kind === 'refused' ? read : { kind: 'virtual-table', piece }
}

function ofGate(piece: Piece, text: string, judge: JudgeText): DumpStatement {
  const judged = judge(text, { for: 'execute' })
  return judged.ok ? { kind: 'statement', piece } : { kind: 'refused', problem: judged.problem }
}

/** Nearly all of a dump is rows of ordinary tables, which are not looked at twice. */
function isOfDump({ sql, tokens }: Piece): boolean {
  const keyword = wordOf(sql, tokens[0])
  if (keyword !== 'insert') return keyword === 'pragma' || keyword === 'analyze'
  const table = tokens[2]
  return table !== undefined && tokenName(sql, table).startsWith('sqlite_')
}

/** Undefined between two steps. A statement that is longer than a step is read in longer ones. Offsets of defects are counted in the whole text. */
function* piecesOf(chunks: Iterable<string>): Iterable<Piece | undefined | { readonly defectAt: number }> {
  let rest = ''
  let restAt = 0
  let length = stepCharacters
  for (const chunk of chunks) {
    rest += chunk
    while (rest.length > length) {
      const complete = splitComplete(rest.slice(0, length))
      yield* complete.pieces
      rest = rest.slice(complete.restAt)
      restAt += complete.restAt
      length = complete.restAt === 0 ? length * 2 : stepCharacters
      yield undefined
    }
  }
  const last = splitStatements(rest)
  if (last.ok) yield* last.value
  else yield { defectAt: restAt + last.problem.offset }
}

function isBorder(piece: Piece, ...transaction: readonly string[]): boolean {
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

/** What only concerns them: no node plans by what somebody has measured elsewhere, and after a load ANALYZE can be run. */
function isStatistics(piece: Piece): boolean {
  const [keyword, second, third] = wordsOf(piece)
  const upkeep = upkeepIn(piece)?.kind
  return (
    upkeep === 'analyze' || upkeep === 'optimize' || (keyword === 'insert' && second === 'into' && /^sqlite_stat[134]$/.test(third ?? ''))
  )
}

/** Around rows of the schema table. Nothing is made writable by it here: whoever carries out such a row does it for that row. */
function isWritableSchema(piece: Piece): boolean {
  return piece.tokens.length === 4 && /^pragma writable_schema = (?:on|off)$/.test(wordsOf(piece).join(' '))
}

const schemaRow = /^insert into sqlite_(?:schema|master) \( type , name , tbl_name , rootpage , sql \) values \( $/
/** Of such a row, the tokens before its values. */
const schemaRowHead = 16

/** Of `INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t …')` the text in it. */
function virtualTableIn(piece: Piece): string | undefined {
  const head = piece.tokens.slice(0, schemaRowHead).map((token) => tokenName(piece.sql, token))
  const values = piece.tokens.slice(schemaRowHead)
  const kinds = values.map(({ kind }) => kind).join(' ')
  if (!schemaRow.test(`${head.join(' ')} `) || kinds !== 'string operator string operator string operator number operator string operator')
    return undefined
  const [type, , name, , table, , page] = values.map((token) => tokenName(piece.sql, token))
  const text = values[8]
  if (type !== 'table' || name !== table || page !== '0' || text === undefined) return undefined
  const definition = piece.sql.slice(text.start + 1, text.end - 1).replaceAll("''", "'")
  const split = splitStatements(definition)
  const [created, second] = split.ok ? split.value : []
  if (created === undefined || second !== undefined) return undefined
  const words = wordsOf(created)
  // Its own name, or the row would be of another table than the text makes.
  return words[0] === 'create' && words[1] === 'virtual' && words[2] === 'table' && words[3] === name && words[4] === 'using'
    ? definition
    : undefined
}

/** The first of them, lower-cased; names without their quotes. */
function wordsOf(piece: Piece): readonly string[] {
  if (wordOf(piece.sql, piece.tokens[0]) === '') return []
  return piece.tokens.slice(0, 10).map((token) => tokenName(piece.sql, token))
}
