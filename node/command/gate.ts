// The statement gate. An allow-list over SQLite's own tokens: what is not known is refused. It stands before the log (and before each local read), never behind it:
// a committed entry always applies. Refused is what would open other files, end the group's transaction, change one node only, differ between nodes, or touch our
// bookkeeping. Why not ask SQLite: the binding has no authorizer, and its `readonly` says true for ATTACH, BEGIN and PRAGMA query_only = 0.
import { fail, ok, type Result } from '../../runtime/result.ts'
import { findChangingExpression, findLocalFunction } from './determinism.ts'
import type { GateProblem, JudgeInSteps, JudgeText, JudgedStatement } from './gate-port.ts'
import { findHugeValue } from './huge-values.ts'
import { findLocalTable, tableNamesIn } from './local-tables.ts'
import { valueBytesMax } from './result-limits.ts'
import { isInspection, isPragma, judgePragma, judgePragmaFunction } from './pragmas.ts'
import { nameAt, operatorOf, splitInSteps, stepTokens, wordOf, type Piece } from './split.ts'
import { atOnce } from './steps.ts'
import { tokenName } from './tokenizer.ts'
import { mustBeAlone, upkeepIn } from './upkeep.ts'
import { findWriteTargets } from './target-tables.ts'

/** Names of ours in the user's database begin with it. */
const reservedPrefix = '_securesql_'
/** A virtual table of this name would have tables of its own whose names begin so: nobody could drop them, and no backup could leave them out. */
const reservedName = '_securesql'

const reads: ReadonlySet<string> = new Set(['select', 'values'])
const writes: ReadonlySet<string> = new Set('insert replace update delete create drop alter reindex analyze'.split(' '))
const transactionControl: ReadonlySet<string> = new Set('begin commit end savepoint release rollback'.split(' '))
/** Functions that reach outside of the database, whether this build has them or not. */
const outwardFunctions: ReadonlySet<string> = new Set(
  'load_extension fts3_tokenizer readfile writefile edit fsdir lsmode zipfile sqlar_compress sqlar_uncompress'.split(' '),
)
const virtualTableModules: ReadonlySet<string> = new Set(['fts5', 'fts4', 'rtree', 'rtree_i32', 'geopoly'])
const createdThings: ReadonlySet<string> = new Set(['table', 'index', 'view', 'trigger', 'virtual', 'unique'])

/** Of one text: judging as many takes some tenths of a second. Of one statement nothing else is done in between. An entry of the log is not held to it. */
const tokensMax = 300_000

export const judgeText: JudgeText = (text, options) => atOnce(judgeInSteps(text, options))

export const judgeInSteps: JudgeInSteps = function* (text, options) {
  const pieces = yield* splitInSteps(text, tokensMax)
  if (!pieces.ok) {
    return refused(
      pieces.problem.code === 'too_many_tokens'
        ? `the text has more than ${tokensMax} words, values and signs: bind values as parameters, or send it in parts`
        : `unrecognized token at character ${pieces.problem.offset + 1}`,
    )
  }
  const judged: JudgedStatement[] = []
  let tokens = 0
  for (const piece of pieces.value) {
    if (tokens >= stepTokens) {
      tokens = 0
      yield
    }
    tokens += piece.tokens.length
    const effect = judgePiece(piece, options.for)
    if (!effect.ok) return effect
    if (upkeepIn(piece) !== undefined && pieces.value.length > 1) return refused(`${keywordAt(piece, 0)} ${mustBeAlone}`)
    judged.push({ sql: piece.sql, effect: effect.value })
  }
  return ok(judged)
}

type Effect = JudgedStatement['effect']
type Purpose = 'execute' | 'query' | 'request'

function judgePiece(piece: Piece, purpose: Purpose): Result<Effect, GateProblem> {
  const explained = explainLength(piece)
  const effect = judgeKeyword(piece, explained, purpose)
  if (!effect.ok) return effect
  // Programs that list all tables look at each of them, ours too.
  const name = purpose === 'query' && isInspection(piece) ? undefined : findForbiddenName(piece)
  if (name !== undefined) return name
  const huge = findHugeValue(piece)
  if (huge !== undefined) return refused(`${huge}() of that size is not allowed: a value has at most ${valueBytesMax} bytes`)
  // EXPLAIN runs nothing: whatever it explains, it is a read.
  const actual = explained > 0 ? 'read' : effect.value
  if (purpose === 'query') {
    return actual === 'read' ? ok(actual) : refused(`${keywordAt(piece, 0)} changes data: a query only reads`)
  }
  // Reads too: what fails on one node only would end its transaction there.
  const local = findLocalTable(piece) ?? findLocalFunction(piece)
  if (local !== undefined) return notDeterministic(local)
  if (actual === 'read') return ok(actual)
  const changing = findChangingExpression(piece)
  if (changing !== undefined)
    return fail({
      code: 'statement_not_deterministic',
      message: `non-deterministic use of ${changing} in an index, a CHECK constraint or a generated column`,
    })
  return findForbiddenTarget(piece) ?? ok(actual)
}

/** How many leading tokens are EXPLAIN or EXPLAIN QUERY PLAN. */
function explainLength(piece: Piece): number {
  if (wordOf(piece.sql, piece.tokens[0]) !== 'explain') return 0
  return wordOf(piece.sql, piece.tokens[1]) === 'query' && wordOf(piece.sql, piece.tokens[2]) === 'plan' ? 3 : 1
}

function judgeKeyword(piece: Piece, position: number, purpose: Purpose): Result<Effect, GateProblem> {
  const keyword = wordOf(piece.sql, piece.tokens[position])
  if (reads.has(keyword)) return ok('read')
  if (keyword === 'with') return ok(effectOfWith(piece, position))
  if (keyword === 'create') return judgeCreate(piece, position)
  if (writes.has(keyword)) return ok('write')
  if (isPragma(piece, position)) {
    const effect = judgePragma(piece, position, { isLogged: purpose !== 'query' })
    return effect === undefined ? disallowedPragma : ok(effect)
  }
  if (transactionControl.has(keyword)) {
    return refused(
      `${keyword.toUpperCase()} is not allowed: send the statements of a transaction in one request with the parameter transaction`,
    )
  }
  if (keyword === 'attach' || keyword === 'detach')
    return refused(`${keyword.toUpperCase()} is not allowed: it would open files on the node`)
  if (keyword === 'vacuum') return judgeVacuum(piece, position)
  return refused(notAStatement(piece, position))
}

/** At most the name of a schema may follow. */
function judgeVacuum(piece: Piece, position: number): Result<Effect, GateProblem> {
  const behind = piece.tokens.slice(position + 1)
  if (behind.some((token) => wordOf(piece.sql, token) === 'into'))
    return refused('VACUUM INTO is not allowed: it would write a file on the node; GET /db/backup?vacuum gives such a file')
  return behind.length > 1 ? refused(notAStatement(piece, position + 2)) : ok('write')
}

/** SQLite's own words, which clients look for: it knows no statement that begins with another word than those above. */
function notAStatement(piece: Piece, position: number): string {
  const token = piece.tokens[position]
  if (token === undefined) return 'incomplete input'
  return `near "${piece.sql.slice(token.start, Math.min(token.end, token.start + 64))}": syntax error`
}

/** The verb follows the closing parenthesis of the last common table expression. Whatever cannot be told counts as a write: SQLite then says what is wrong with it. */
function effectOfWith(piece: Piece, position: number): Effect {
  let depth = 0
  for (let at = position + 1; at < piece.tokens.length; at += 1) {
    const text = operatorOf(piece.sql, piece.tokens[at])
    if (text === '(') depth += 1
    if (text === ')') depth -= 1
    if (depth !== 0 || text !== ')') continue
    const verb = wordOf(piece.sql, piece.tokens[at + 1])
    if (reads.has(verb)) return 'read'
    if (writes.has(verb)) return 'write'
  }
  return 'write'
}

function judgeCreate(piece: Piece, position: number): Result<Effect, GateProblem> {
  const thing = wordOf(piece.sql, piece.tokens[position + 1])
  if (thing === 'temp' || thing === 'temporary')
    return refused('temporary tables, views and triggers live on one connection of one node: not allowed')
  if (!createdThings.has(thing)) return refused(`CREATE ${keywordAt(piece, position + 1)} is not allowed`)
  const named = nameBehindCreate(piece, position + 1)
  const isQualified = operatorOf(piece.sql, piece.tokens[named + 1]) === '.'
  if (isQualified && nameAt(piece, named) !== 'main') return refused('an object can only be created in the schema main')
  if (thing !== 'virtual') return ok('write')
  const using = named + (isQualified ? 3 : 1)
  const module = nameAt(piece, using + 1)
  if (wordOf(piece.sql, piece.tokens[using]) !== 'using' || !virtualTableModules.has(module)) {
    return refused(`a virtual table can only use ${[...virtualTableModules].join(', ')}`)
  }
  return ok('write')
}

/** Behind CREATE: [UNIQUE | VIRTUAL] TABLE | INDEX | VIEW | TRIGGER [IF NOT EXISTS]. */
function nameBehindCreate(piece: Piece, position: number): number {
  const first = wordOf(piece.sql, piece.tokens[position])
  const at = position + (first === 'unique' || first === 'virtual' ? 2 : 1)
  return wordOf(piece.sql, piece.tokens[at]) === 'if' && wordOf(piece.sql, piece.tokens[at + 1]) === 'not' ? at + 3 : at
}

/** Names that no statement may hold, in whatever quotes: SQLite takes `"x"`, `[x]`, `` `x` `` and in places 'x' for a name. */
function findForbiddenName(piece: Piece): Result<never, GateProblem> | undefined {
  const creates = wordOf(piece.sql, piece.tokens[explainLength(piece)]) === 'create'
  const namesTables = tableNamesIn(piece)
  for (const [position, token] of piece.tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'quoted' && token.kind !== 'string') continue
    const name = tokenName(piece.sql, token)
    // Within CREATE a name may stand inside of a longer argument of a virtual table: content="…".
    if (name === reservedName || (creates ? name.includes(reservedPrefix) : name.startsWith(reservedPrefix)))
      return refused(`the name ${reservedName}, and names that begin with ${reservedPrefix}, are reserved`)
    if (namesTables(token) && judgePragmaFunction(name) === 'nowhere') return disallowedPragma
    if (token.kind !== 'string' && outwardFunctions.has(name) && operatorOf(piece.sql, piece.tokens[position + 1]) === '(')
      return refused(`${name}() is not allowed`)
  }
  return undefined
}

/** What a statement that writes may not write into. */
function findForbiddenTarget(piece: Piece): Result<never, GateProblem> | undefined {
  if (hasName(piece, (name) => name.startsWith('sqlite_stat') && /^sqlite_stat\d/.test(name)))
    return refused('tables of statistics cannot be used where data is changed')
  let setsAutomerge: boolean | undefined
  for (const { table, columns } of findWriteTargets(piece)) {
    // A sequence at its end makes every insert fail, in a way that looks like a full disk.
    if (table === 'sqlite_sequence') return refused('rows of sqlite_sequence can only be deleted')
    // FTS5 keeps what this sets in memory, also when the transaction is rolled back; a column list with both names can mean nothing else in a full-text table.
    if (columns?.includes(table) === true && columns.includes('rank'))
      return refused(
        'the configuration of a full-text table cannot be changed yet (INSERT with a column of the name of its table, and rank)',
      )
    if (columns?.length !== 1 || columns[0] !== table) continue
    setsAutomerge ??= hasName(piece, (name) => name.startsWith('automerge'))
    if (setsAutomerge) return refused('the configuration of a full-text table cannot be changed yet (automerge)')
  }
  return undefined
}

/** Words and strings, in whatever quotes. */
function hasName({ sql, tokens }: Piece, isIt: (name: string) => boolean): boolean {
  return tokens.some(
    (token) => (token.kind === 'word' || token.kind === 'quoted' || token.kind === 'string') && isIt(tokenName(sql, token)),
  )
}

/** For messages: the keyword in capitals, or that there is none. Never the client's text beyond one word. */
function keywordAt(piece: Piece, position: number): string {
  const keyword = wordOf(piece.sql, piece.tokens[position])
  return keyword === '' ? 'this' : keyword.slice(0, 32).toUpperCase()
}

function refused(message: string): Result<never, GateProblem> {
  return fail({ code: 'statement_refused', message })
}

function notDeterministic(what: string): Result<never, GateProblem> {
  return fail({ code: 'statement_not_deterministic', message: `${what} would differ between nodes: not allowed where data is changed` })
}

/** rqlite's own words, which clients look for. */
const disallowedPragma: Result<never, GateProblem> = fail({ code: 'statement_refused', message: 'disallowed pragma' })
