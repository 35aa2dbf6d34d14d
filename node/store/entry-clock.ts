// SQLite's date and time functions with 'now' standing still: it is the time of the entry that is being applied. Everything else about them is SQLite's own, on a helper
// connection without data, to which a time is handed in the place of 'now'. The machine's time zone is always UTC, so that a node's settings do not matter.
import Database from 'better-sqlite3'

export type DateFunction = 'date' | 'time' | 'datetime' | 'julianday' | 'unixepoch' | 'strftime' | 'timediff'

export const dateFunctions: readonly DateFunction[] = ['date', 'time', 'datetime', 'julianday', 'unixepoch', 'strftime', 'timediff']

/** What SQLite hands to a function; integers as bigint. */
export type Argument = null | number | bigint | string | Buffer

/** Changes nothing, and stands in the modifier's place, because some are only allowed to come first. */
const noChange = '+0 seconds'
/** More arguments are a mistake, or come from a program. */
const statementsMax = 32
/** No word that matters here is longer. */
const wordCharactersMax = 16

let helper: Database.Database | undefined
const statements = new Map<string, Database.Statement>()

export class EntryClock {
  #timeMs = 0
  /** Undefined: nobody has asked since the time was set; few entries do. */
  #text: string | undefined

  set timeMs(timeMs: number) {
    this.#timeMs = timeMs
    this.#text = undefined
  }

  /** CURRENT_TIMESTAMP; CURRENT_DATE and CURRENT_TIME are its parts. */
  get timestamp(): string {
    return this.#now.slice(0, 19)
  }

  get #now(): string {
    return (this.#text ??= new Date(this.#timeMs).toISOString().replace('T', ' ').replace('Z', ''))
  }

  call(name: DateFunction, given: readonly Argument[]): unknown {
    const args = [...given]
    const first = name === 'strftime' ? 1 : 0
    // A time that is not given is 'now'; strftime() without a format stays the error that it is.
    if (args.length === first) args.push('now')
    const times = name === 'timediff' ? 2 : 1
    for (let at = first; at < args.length; at += 1) {
      const word = wordOf(args[at])
      if (at < first + times && isNow(word)) args[at] = this.#now
      if (at < first + times && isSubsecond(word)) args.splice(at, 1, this.#now, 'subsec')
      if (at >= first + times && isZone(word)) args[at] = noChange
    }
    return helperStatement(name, args.length).get(...args)
  }
}

/** Whether such a call reads the clock or the time zone: SQLite lets none do so in an index, a CHECK or a generated column. */
export function readsClock(name: DateFunction, args: readonly Argument[]): boolean {
  const first = name === 'strftime' ? 1 : 0
  const times = name === 'timediff' ? 2 : 1
  if (args.length <= first) return true
  return args.slice(first).some((arg, at) => {
    const word = wordOf(arg)
    return at < times ? isNow(word) || isSubsecond(word) : isZone(word)
  })
}

/** Whether one of them means the clock or the time zone to any such function, wherever it stands. */
export function holdsClockWord(args: readonly Argument[]): boolean {
  return args.map(wordOf).some((word) => isNow(word) || isSubsecond(word) || isZone(word))
}

function isNow(word: string): boolean {
  return word === 'now'
}

/** Standing first it is the clock, with fractions. */
function isSubsecond(word: string): boolean {
  return word === 'subsec' || word === 'subsecond'
}

function isZone(word: string): boolean {
  return word === 'localtime' || word === 'utc'
}

/** As SQLite compares it: a text or a blob up to its first NUL, in any case. */
function wordOf(arg: Argument | undefined): string {
  if (typeof arg !== 'string' && !Buffer.isBuffer(arg)) return ''
  const text = typeof arg === 'string' ? arg.slice(0, wordCharactersMax) : arg.toString('latin1', 0, wordCharactersMax)
  return (text.split('\0', 1)[0] ?? '').toLowerCase()
}

function helperStatement(name: DateFunction, count: number): Database.Statement {
  const sql = `SELECT ${name}(${Array.from({ length: count }, () => '?').join()})`
  const known = statements.get(sql)
  if (known !== undefined) return known
  helper ??= new Database(':memory:')
  const statement = helper.prepare(sql).pluck(true).safeIntegers(true)
  if (statements.size < statementsMax) statements.set(sql, statement)
  return statement
}
