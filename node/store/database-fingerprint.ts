// What a database holds, in one hash (content-hash.ts), for tests and comparisons. The bookkeeping is left out, its applied index is answered beside the hash.
import Database from 'better-sqlite3'
import { bookkeepingTable } from './bookkeeping.ts'
import { hashContent } from './content-hash.ts'

export interface DatabaseFingerprint {
  readonly appliedIndex: number
  /** SHA-256, hexadecimal. */
  readonly hash: string
}

/** Of a database that no node is writing (or between its transactions: one snapshot is read). Changes nothing. */
export function fingerprintDatabase(path: string): DatabaseFingerprint {
  const database = new Database(path, { readonly: true, fileMustExist: true })
  try {
    database.exec('BEGIN')
    const steps = hashContent(database)
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    const appliedIndex = Number(database.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).pluck().get())
    return { appliedIndex, hash: step.value }
  } finally {
    database.close()
  }
}
