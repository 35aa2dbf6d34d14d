// Between the values of a command and those of the SQLite binding. With safe integers on it gives every INTEGER as bigint, and it stores every JavaScript number as REAL:
// the same rule as SqlValue's.
import type { Bound } from '../command/binding.ts'
import type { SqlValue } from '../command/command.ts'

export function toRow(row: unknown[]): readonly SqlValue[] {
  return row as SqlValue[] // parse boundary: the binding gives null, number, bigint, string or Buffer, nothing else
}

/** The arguments of one call of the binding: the nameless values as one array, the named ones as one object. */
export function toBindings(bound: Bound): readonly unknown[] {
  return bound.named === undefined ? [bound.anonymous] : [bound.anonymous, bound.named]
}
