// Which value goes to which parameter of a statement. SQLite numbers parameters from 1: `?` takes the next number, `?7` its own, a name the next number at its first
// use. A text of several statements takes its positional values one statement after the other, as rqlite's driver does; values that are left over are ignored, as there.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Parameters, SqlValue } from './command.ts'
import type { Piece } from './split.ts'

export interface ParameterPlan {
  /** The highest parameter number: so many positional values the statement takes. */
  readonly count: number
  /** By number less one: the name as it stands in the text without its prefix, undefined for a bare `?` and for a number that no one uses. */
  readonly names: readonly (string | undefined)[]
}

export interface Bound {
  /** For the parameters without a name, in order. */
  readonly anonymous: readonly SqlValue[]
  /** For the others. */
  readonly named: Readonly<Record<string, SqlValue>> | undefined
}

/** SQLite's own limit in this build (SQLITE_MAX_VARIABLE_NUMBER): the engine refuses the statement beyond it, so no plan is made for it. */
const parametersMax = 32_766

/** Undefined when the statement numbers a parameter beyond what SQLite takes. */
export function planParameters(piece: Piece): ParameterPlan | undefined {
  const names: (string | undefined)[] = []
  const known = new Map<string, number>()
  for (const token of piece.tokens) {
    if (token.kind !== 'parameter') continue
    const text = piece.sql.slice(token.start, token.end)
    if (text === '?') {
      names.push(undefined)
    } else if (text.startsWith('?')) {
      const number = Number(text.slice(1))
      if (number < 1 || number > parametersMax) return undefined
      while (names.length < number) names.push(undefined)
      names[number - 1] = text.slice(1)
    } else if (!known.has(text)) {
      known.set(text, names.length)
      names.push(text.slice(1))
    }
  }
  return names.length > parametersMax ? undefined : { count: names.length, names }
}

/** `skip`: positional values that earlier statements of the same text have taken. */
export function bindParameters(plan: ParameterPlan, parameters: Parameters, skip: number): Result<Bound, string> {
  if (plan.count === 0) return ok({ anonymous: [], named: undefined })
  return parameters.kind === 'positional' ? bindPositional(plan, parameters.values, skip) : bindNamed(plan, parameters.values)
}

function bindPositional(plan: ParameterPlan, values: readonly SqlValue[], skip: number): Result<Bound, string> {
  if (values.length - skip < plan.count) return fail(`not enough args to execute query: want ${plan.count} got ${values.length}`)
  const anonymous: SqlValue[] = []
  let named: Record<string, SqlValue> | undefined
  let position = skip
  for (const name of plan.names) {
    const value = values[position] ?? null
    position += 1
    if (name === undefined) {
      anonymous.push(value)
      continue
    }
    named ??= nullPrototype()
    if (Object.hasOwn(named, name)) return fail(`parameter ${name} is used with two prefixes: give its value by name`)
    named[name] = value
  }
  return ok({ anonymous, named })
}

function bindNamed(plan: ParameterPlan, values: ReadonlyMap<string, SqlValue>): Result<Bound, string> {
  const named: Record<string, SqlValue> = nullPrototype()
  const anonymous: SqlValue[] = []
  for (const name of plan.names) {
    // A name without a value is NULL, as an unbound parameter is for SQLite.
    if (name === undefined) anonymous.push(null)
    else named[name] = values.get(name) ?? null
  }
  return ok({ anonymous, named })
}

// A parameter may be called `__proto__`.
function nullPrototype(): Record<string, SqlValue> {
  return Object.create(null) as Record<string, SqlValue>
}
