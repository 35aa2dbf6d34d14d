// The throw-away process of snapshot-examination.ts: `node snapshot-examiner.ts PATH INDEXES`, forked by starter-process.ts, reads the whole file and says what it is.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import process from 'node:process'
import Database from 'better-sqlite3'
import { bookkeepingTable } from './bookkeeping.ts'
import { faultsOfTables, integrityFaults } from './integrity.ts'
import { SelfWatch } from './self-watch.ts'
import type { ExaminerReply } from './snapshot-examination.ts'
import { readSnapshotPoint } from './snapshot-point.ts'

const bufferBytes = 1024 * 1024
/** A row may have 64 MiB, which is in memory more than once. As much as a check of the same database may take (check-process.ts). */
const growthBytesMax = 512 * 1024 * 1024

const [, , path = '', indexes = ''] = process.argv
new SelfWatch({ growthBytesMax }).begin()
process.send?.(examine(), undefined, undefined, () => process.disconnect?.())

function examine(): ExaminerReply {
  let database: Database.Database | undefined
  try {
    const file = hashOf()
    database = new Database(path, { readonly: true, fileMustExist: true })
    const structure = integrityFaults(database, 'quick_check')
    const [fault] = structure.length === 0 && indexes === 'compared' ? faultsOfTables(database, 'integrity_check') : structure
    if (fault !== undefined) return { kind: 'unsound', reason: fault }
    const kinds = database.prepare('SELECT type FROM sqlite_schema WHERE name = ?').pluck().all(bookkeepingTable)
    return { kind: 'sound', ...file, point: kinds.join() === 'table' ? readSnapshotPoint(database) : undefined }
  } catch (error) {
    return { kind: 'unsound', reason: error instanceof Error ? error.message : String(error) }
  } finally {
    database?.close()
  }
}

function hashOf(): { readonly bytes: number; readonly hash: string } {
  const descriptor = openSync(path, 'r')
  try {
    const hash = createHash('sha256')
    const buffer = Buffer.alloc(bufferBytes)
    let bytes = 0
    for (;;) {
      const read = readSync(descriptor, buffer, 0, buffer.length, bytes)
      if (read === 0) return { bytes, hash: hash.digest('hex') }
      hash.update(buffer.subarray(0, read))
      bytes += read
    }
  } finally {
    closeSync(descriptor)
  }
}
