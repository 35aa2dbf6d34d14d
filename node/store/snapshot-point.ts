// What a database says of itself: up to where the log is applied in it, and who the members were there. A snapshot's index is always read from inside of the copy, never
// remembered beside it: the two can then not disagree.
import type Database from 'better-sqlite3'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import { bookkeepingTable } from './bookkeeping.ts'

/** Undefined: nothing is applied, there are no members yet, or it is known to differ from the others: nothing that could replace another's state. Throws what SQLite throws. */
export function readSnapshotPoint(database: Database.Database): SnapshotPoint | undefined {
  const row = database.prepare(`SELECT * FROM ${bookkeepingTable}`).get() as
    | { readonly applied_index: number; readonly applied_term: number; readonly membership: unknown; readonly divergence?: unknown }
    | undefined
  if (row === undefined || !Number.isSafeInteger(row.applied_index) || !Number.isSafeInteger(row.applied_term)) return undefined
  if (typeof row.divergence === 'string') return undefined
  if (row.applied_index < 1 || !(row.membership instanceof Uint8Array)) return undefined
  const membership = decodeMembership(row.membership)
  return membership.ok ? { index: row.applied_index, term: row.applied_term, membership: membership.value } : undefined
}
