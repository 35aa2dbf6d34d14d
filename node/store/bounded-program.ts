// How much work a statement can be, judged by the program that SQLite has made of it: EXPLAIN lists it. A running statement cannot be stopped, so what may run where
// heartbeats live is only what provably ends soon: opcodes that do a fixed amount of work, in an order that never goes back, but for three loops whose length is known.
// Anything else is not bounded; that costs it the way to another thread, never its effect. https://www.sqlite.org/opcode.html

import type Database from 'better-sqlite3'
import { answerOf } from './sqlite-failure.ts'

/** Rows of sqlite_sequence, one a table with AUTOINCREMENT, that an insert may look through. */
const sequenceRowsMax = 1_000

/** A method of better-sqlite3 that its types do not name: EXPLAIN of a text whose parameters are not bound. */
interface Explaining extends Database.Database {
  explain(sql: string): readonly Instruction[]
}

/** Under the schema as it is now; zero where SQLite refuses the text, which then never runs. */
export function costOfStatement(database: Database.Database, prepare: () => Database.Statement): number {
  try {
    const { source } = prepare()
    // It changes what is counted below.
    if (/sqlite_sequence/i.test(source)) return Infinity
    return programCost((database as Explaining).explain(source), sequenceRoot(database))
  } catch (error) {
    answerOf(error)
    return 0
  }
}

/** Undefined: there is none, it is long, or triggers change it. */
function sequenceRoot(database: Database.Database): number | undefined {
  const root = database.prepare("SELECT rootpage FROM main.sqlite_schema WHERE name = 'sqlite_sequence'").pluck().get()
  if (typeof root !== 'number') return undefined
  const isLong = database.prepare(`SELECT 1 FROM main.sqlite_sequence LIMIT 1 OFFSET ${sequenceRowsMax}`).pluck()
  const isWritten = database
    .prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' AND sql LIKE '%sqlite\\_sequence%' ESCAPE '\\'")
    .pluck()
  return isLong.get() === undefined && isWritten.get() === undefined ? root : undefined
}

/** One row of EXPLAIN. */
interface Instruction {
  readonly opcode: string
  readonly p1: number
  readonly p2: number
  readonly p3: number
  readonly p4: unknown
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '))

/** They never jump. Missing on purpose: Concat and what else makes big values of stored ones, Count, sorters, virtual tables, subroutines, and all that changes a schema. */
const straight = words(
  'Transaction OpenRead OpenWrite OpenEphemeral OpenDup ReopenIdx Close Noop Explain Trace Integer Int64 Real String String8 Null SoftNull Blob Variable Move Copy SCopy ' +
    'IntCopy ResultRow Halt HaltIfNull Column TypeCheck Affinity MakeRecord NewRowid Insert Delete IdxInsert IdxDelete Rowid IdxRowid DeferredSeek FinishSeek FkCheck ' +
    'Param MemMax AddImm Add Subtract Multiply Divide Remainder BitAnd BitOr BitNot ShiftLeft ShiftRight Not And Or Cast RealAffinity CollSeq Compare Permutation IsTrue ' +
    'ZeroOrNull NullRow ResetCount CursorHint ReleaseReg EndCoroutine Abortable',
)
/** They may jump to p2. */
const jumping = words(
  'Goto Once If IfNot IsNull NotNull Eq Ne Lt Le Gt Ge ElseEq IfNullRow IfPos IfNotOpen DecrJumpZero MustBeInt Found NotFound NoConflict NotExists SeekRowid SeekGE SeekGT ' +
    'SeekLE SeekLT IdxGE IdxGT IdxLE IdxLT Rewind Last InitCoroutine Yield Program Next',
)
/** Linear in values that are limited themselves, and making nothing larger than those: not trim or instr, which compare all with all. */
const cheapFunctions = words(
  'abs coalesce ifnull nullif iif if length octet_length lower upper typeof round sign min max substr substring unicode ceil ceiling floor date time datetime julianday ' +
    'unixepoch strftime timediff current_timestamp current_date current_time random changes total_changes last_insert_rowid likely unlikely likelihood ' +
    '_securesql_reads_clock _securesql_holds_clock_word',
)
/** Triggers that call triggers multiply: eight calls in all programs together are at most 18 runs of the innermost one. */
const callsMax = 8
const runsPerCall = 18

/** Loops follow each other, none within another: VALUES, rows put aside, rows returned, sqlite_sequence. Each is as long as VALUES is. */
const loopsMax = 4

/** Roughly how many instructions are carried out; Infinity: not bounded. `sequenceRoot`: the page of sqlite_sequence while that is small, else undefined. */
function programCost(rows: readonly Instruction[], sequenceRoot: number | undefined): number {
  const [main, ...triggers] = programsOf(rows)
  if (main === undefined) return Infinity
  const calls = rows.filter(({ opcode }) => opcode === 'Program').length
  if (calls > callsMax) return Infinity
  let inner = 0
  for (const trigger of triggers) inner += costOf(trigger, { sequenceRoot, mayLoop: false })
  return costOf(main, { sequenceRoot, mayLoop: true, inner: inner * (calls < 2 ? 1 : runsPerCall) })
}

/** Triggers' programs follow the statement's own; each begins with Init. */
function programsOf(rows: readonly Instruction[]): readonly (readonly Instruction[])[] {
  const programs: Instruction[][] = []
  for (const row of rows) {
    if (row.opcode === 'Init') programs.push([row])
    else programs.at(-1)?.push(row)
  }
  return programs
}

function costOf(
  program: readonly Instruction[],
  options: { readonly sequenceRoot: number | undefined; readonly mayLoop: boolean; readonly inner?: number },
): number {
  const start = program[0]?.p2 ?? 0
  // In the order in which it runs: the end of the program is what is done first.
  const order = (address: number): number => (address >= start ? address - start : address - 1 + program.length - start)
  const steps = [...program.slice(start), ...program.slice(1, start)]
  let rows = 0
  let coroutine: { readonly from: number; readonly until: number } | undefined
  let loops = 0
  let loopEnd = -1
  for (const [at, step] of steps.entries()) {
    if (step.opcode === 'Function' || step.opcode === 'PureFunc') {
      if (!cheapFunctions.has(functionName(step.p4))) return Infinity
      continue
    }
    if (step.opcode === 'Jump') {
      if ([step.p1, step.p2, step.p3].some((to) => order(to) <= at)) return Infinity
      continue
    }
    if (straight.has(step.opcode)) continue
    if (!jumping.has(step.opcode)) return Infinity
    if (step.opcode === 'InitCoroutine') {
      if (coroutine !== undefined || !options.mayLoop) return Infinity
      coroutine = { from: at, until: order(step.p2) }
    }
    if (step.opcode === 'Yield' && coroutine !== undefined && at < coroutine.until) rows += 1
    const to = order(step.p2)
    // p2 of 0 says of some opcodes that they do not jump.
    if (to > at || (step.p2 === 0 && step.opcode !== 'Goto' && step.opcode !== 'Next')) continue
    const isInCoroutine = coroutine !== undefined && at < coroutine.until
    loops += 1
    if (loops > loopsMax || isInCoroutine || to <= loopEnd || !isKnownLoop(steps, { at, to }, options)) return Infinity
    loopEnd = at
  }
  const once = coroutine === undefined ? 0 : coroutine.until - coroutine.from
  return once + (steps.length - once + (options.inner ?? 0)) * Math.max(1, rows)
}

/** Rows written out in VALUES (a coroutine that never goes back itself), rows that the statement has put aside to return them, or the scan of a small sqlite_sequence. */
function isKnownLoop(
  steps: readonly Instruction[],
  { at, to }: { readonly at: number; readonly to: number },
  options: { readonly sequenceRoot: number | undefined; readonly mayLoop: boolean },
): boolean {
  const step = steps[at]
  if (step === undefined) return false
  if (step.opcode === 'Goto') return options.mayLoop && steps[to]?.opcode === 'Yield'
  if (step.opcode !== 'Next') return false
  const opened = steps.slice(0, to).findLast(({ opcode, p1 }) => p1 === step.p1 && /^(Open|ReopenIdx)/.test(opcode))
  if (opened === undefined) return false
  const isAddedTo = steps.slice(to, at).some(({ opcode, p1 }) => opcode === 'Yield' || (p1 === step.p1 && /Insert/.test(opcode)))
  if (opened.opcode === 'OpenEphemeral') return options.mayLoop && !isAddedTo
  return opened.p2 === options.sequenceRoot && opened.p3 === 0
}

/** EXPLAIN writes `name(arguments)`. */
function functionName(p4: unknown): string {
  return typeof p4 === 'string' ? (p4.split('(')[0] ?? '').toLowerCase() : ''
}
