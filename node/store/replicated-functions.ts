// The functions that would differ between nodes, overridden on a connection that applies entries: chance comes from the entry's seed, the time is the entry's. SQLite
// takes an override wherever the function stands, in DEFAULT, triggers, views, CHECK, generated columns, indexes and ORDER BY too.
// A connection that only reads keeps SQLite's own.
import type Database from 'better-sqlite3'
import type { EntryMoment } from '../command/entry-moment.ts'
import { valueBytesMax } from '../command/result-limits.ts'
import { EntryChance } from './entry-chance.ts'
import { EntryClock, dateFunctions, holdsClockWord, readsClock, type Argument, type DateFunction } from './entry-clock.ts'
import { FunctionRefusal } from './sqlite-failure.ts'

/** What tells of the program instead of the data: the gate refuses them in what goes to the log, but a file that was loaded may call them in its schema. */
const localFunctions = 'sqlite_version sqlite_source_id sqlite_compileoption_used sqlite_compileoption_get sqlite_offset sqlite_log'.split(
  ' ',
)

/** How the overrides are told what they stand for. */
export class ReplicatedFunctions {
  readonly #chance = new EntryChance()
  readonly #clock = new EntryClock()
  #changes = 0
  #isClockStopped = false

  /** Before the first statement of an entry. */
  beginEntry(moment: EntryMoment): void {
    this.#chance.beginEntry(moment)
    this.#clock.timeMs = moment.timeMs
    this.#isClockStopped = false
  }

  /**
   * Before each statement: its place in the command, and in its text. `stopped`: it makes values that SQLite keeps (an index, a column), so none of them may come from the
   * clock; where the builtin functions know that by themselves, an override cannot.
   */
  beginPiece(statement: number, piece: number, clock: 'runs' | 'stopped'): void {
    this.#chance.beginPiece(statement, piece)
    this.#isClockStopped = clock === 'stopped'
  }

  /** Behind each statement that changes data: total_changes() counts what earlier statements of the entry have changed. */
  countChanges(rows: number): void {
    this.#changes += rows
  }

  restartChanges(): void {
    this.#changes = 0
  }

  integer(): bigint {
    return this.#chance.integer()
  }

  blob(size: number): Buffer {
    if (size > valueBytesMax) throw new FunctionRefusal('string or blob too big')
    return this.#chance.bytes(Math.max(1, size))
  }

  date(name: DateFunction, args: readonly Argument[]): unknown {
    if (this.#isClockStopped && readsClock(name, args))
      throw new FunctionRefusal(`non-deterministic use of ${name}() in an index, a CHECK constraint or a generated column`)
    return this.#clock.call(name, args)
  }

  timestamp(name: string, from: number, to: number): string {
    if (this.#isClockStopped) throw new FunctionRefusal(`non-deterministic use of ${name} in a CHECK constraint`)
    return this.#clock.timestamp.slice(from, to)
  }

  totalChanges(): bigint {
    return BigInt(this.#changes)
  }
}

/** Of a connection that applies entries, or tries what they would do: before it runs its first statement. */
export function installReplicatedFunctions(database: Database.Database): ReplicatedFunctions {
  const functions = new ReplicatedFunctions()
  const exact = { safeIntegers: true }
  // Called deterministic, so that schemas with date(x) in an index stay what they are: within one statement they are.
  const constant = { safeIntegers: true, deterministic: true }
  database.function('random', exact, () => functions.integer())
  database.function('randomblob', exact, (size: unknown) => functions.blob(toSize(size)))
  database.function('current_timestamp', exact, () => functions.timestamp('current_timestamp', 0, 19))
  database.function('current_date', exact, () => functions.timestamp('current_date', 0, 10))
  database.function('current_time', exact, () => functions.timestamp('current_time', 11, 19))
  database.function('total_changes', exact, () => functions.totalChanges())
  for (const name of dateFunctions) {
    if (name === 'timediff') database.function(name, constant, (a: unknown, b: unknown) => functions.date(name, [a, b] as Argument[]))
    else database.function(name, { ...constant, varargs: true }, (...args: unknown[]) => functions.date(name, args as Argument[]))
  }
  database.function('_securesql_reads_clock', { ...constant, varargs: true }, (name: unknown, ...args: unknown[]) =>
    readsClock(name as DateFunction, args as Argument[]) ? 1n : 0n,
  )
  database.function('_securesql_holds_clock_word', { ...constant, varargs: true }, (...args: unknown[]) =>
    holdsClockWord(args as Argument[]) ? 1n : 0n,
  )
  for (const name of localFunctions) {
    database.function(name, { varargs: true }, () => {
      throw new FunctionRefusal(`${name}() would differ between nodes`)
    })
  }
  return functions
}

/** As SQLite makes an integer of anything. */
function toSize(value: unknown): number {
  if (typeof value === 'bigint' || typeof value === 'number') return Math.trunc(Number(value))
  const text = Buffer.isBuffer(value) ? value.toString('latin1') : value
  return typeof text === 'string' ? Number(/^\s*[-+]?\d+/.exec(text)?.[0] ?? 0) : 0
}
