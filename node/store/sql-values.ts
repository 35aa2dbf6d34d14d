// Between the values of a command and those of the SQLite binding. The binding gives every INTEGER as bigint (it would round silently otherwise) and stores every
// JavaScript number as REAL, so whole numbers go in as bigints.
import type { Bound } from '../command/binding.ts'
import type { SqlValue } from '../command/command.ts'

function toBinding(value: SqlValue): null | number | bigint | string | Uint8Array {
  return typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
}

const safeMin = BigInt(Number.MIN_SAFE_INTEGER)
const safeMax = BigInt(Number.MAX_SAFE_INTEGER)

/** Safe integers become numbers, in place: the row belongs to us. */
export function toRow(row: unknown[]): readonly SqlValue[] {
  for (const [position, value] of row.entries()) {
    if (typeof value === 'bigint' && value >= safeMin && value <= safeMax) row[position] = Number(value)
  }
  return row as SqlValue[] // parse boundary: the binding gives null, number, bigint, string or Buffer, nothing else
}

/** The arguments of one call of the binding: the nameless values as one array, the named ones as one object. */
export function toBindings(bound: Bound): readonly unknown[] {
  const anonymous = bound.anonymous.map(toBinding)
  if (bound.named === undefined) return [anonymous]
  const named = Object.create(null) as Record<string, unknown> // a parameter may be called __proto__
  for (const [name, value] of Object.entries(bound.named)) named[name] = toBinding(value)
  return [anonymous, named]
}
