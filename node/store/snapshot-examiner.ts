// The throw-away process of snapshot-examination.ts: `node snapshot-examiner.ts PATH INDEXES` reads the whole file and says on its standard output what it is.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { argv, stdout } from 'node:process'
import Database from 'better-sqlite3'
import { bookkeepingTable } from './bookkeeping.ts'
import { faultsOfTables, integrityFaults } from './integrity.ts'
import { stepBehind } from './quiet-thread.ts'
import { readSnapshotPoint } from './snapshot-point.ts'

const bufferBytes = 1024 * 1024
stepBehind()
stdout.write(JSON.stringify(examine(argv[2] ?? '')))

function examine(path: string): unknown {
  try {
    const file = hashOf(path)
    const database = new Database(path, { readonly: true, fileMustExist: true })
    const structure = integrityFaults(database, 'quick_check')
    const [fault] = structure.length === 0 && argv[3] === 'compared' ? faultsOfTables(database, 'integrity_check') : structure
    if (fault !== undefined) return { kind: 'unsound', reason: fault }
    const kinds = database.prepare('SELECT type FROM sqlite_schema WHERE name = ?').pluck().all(bookkeepingTable)
    const point = kinds.join() === 'table' ? readSnapshotPoint(database) : undefined
    return { kind: 'sound', ...file, point: point ?? null }
  } catch (error) {
    return { kind: 'unsound', reason: error instanceof Error ? error.message : String(error) }
  }
}

function hashOf(path: string): { readonly bytes: number; readonly hash: string } {
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
