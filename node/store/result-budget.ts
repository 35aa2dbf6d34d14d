// Counts what the rows of an answer take while they are fetched: without it one query that returns a few huge values takes all of a node's memory. A row that SQLite has
// made is in memory already when it is counted here; what makes huge values within one row is refused by the gate where it is written as a literal.
import type Database from 'better-sqlite3'
import type { SqlValue } from '../command/command.ts'
import { resultBytesMax, valueBytesMax } from '../command/result-limits.ts'
import { toRow } from './sql-values.ts'

/** What an array and its values take besides their content, roughly. */
const rowBytes = 64
const valueBytes = 16

export const rowsTooLarge = `result too large: more than ${resultBytesMax} bytes, or a value of more than ${valueBytesMax}`

/** Entries that are applied together hold their results in memory together. */
const groupBytesMax = 4 * resultBytesMax

/** Of one request, or of one group of entries with `nextEntry` before each. */
export class ResultBudget {
  #bytesLeft: number = resultBytesMax
  #groupBytesLeft: number = groupBytesMax

  nextEntry(): void {
    this.#groupBytesLeft -= resultBytesMax - this.#bytesLeft
    this.#bytesLeft = Math.min(resultBytesMax, this.#groupBytesLeft)
  }

  /** False: the row does not fit; nothing more does then. */
  take(row: readonly unknown[]): boolean {
    const bytes = bytesOfRow(row)
    if (bytes > this.#bytesLeft) return false
    this.#bytesLeft -= bytes
    return true
  }
}

/** Infinity: one of its values is too large. */
export function bytesOfRow(row: readonly unknown[]): number {
  let bytes = rowBytes
  for (const value of row) {
    const length = typeof value === 'string' || value instanceof Uint8Array ? value.length : 0
    if (length > valueBytesMax) return Infinity
    bytes += valueBytes + length
  }
  return bytes
}

export interface Fetched {
  readonly rows: readonly (readonly SqlValue[])[]
  /** How many rows there were. */
  readonly count: number
  /** The rows are then none. */
  readonly isTooLarge: boolean
}

/** To the end always: a statement that changes data must finish, and one that would fail at a later row must fail on every node. `see` gets every row, kept or not. */
export function fetchAll(
  statement: Database.Statement,
  values: readonly unknown[],
  budget: ResultBudget,
  see: (row: readonly unknown[]) => void,
): Fetched {
  let rows: (readonly SqlValue[])[] = []
  let count = 0
  let isTooLarge = false
  for (const row of statement.iterate(...values) as Iterable<unknown[]>) {
    count += 1
    see(row)
    isTooLarge ||= !budget.take(row)
    if (isTooLarge) rows = []
    else rows.push(toRow(row))
  }
  return { rows, count, isTooLarge }
}
