// What stopped nodes have left on the disk, read without any node in between.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { fingerprintDatabase } from '../../node/store/database-fingerprint.ts'
import type { WriteOf } from './write-history.ts'

export interface DatabaseOnDisk {
  readonly rows: readonly WriteOf[]
  /** `ok`, or what SQLite's integrity_check says. */
  readonly integrity: string
  /** Equal on equal databases; without the bookkeeping, whose index may differ when an election fell into the stop. */
  readonly fingerprint: string
}

export function openDatabases(dataDirs: readonly string[]): readonly DatabaseOnDisk[] {
  return dataDirs.map((dataDir) => {
    const path = join(dataDir, 'db.sqlite')
    const database = new Database(path, { readonly: true, fileMustExist: true })
    try {
      const rows = database.prepare('SELECT writer, n FROM writes').all() as WriteOf[]
      const integrity = String(database.pragma('integrity_check', { simple: true }))
      return { rows, integrity, fingerprint: fingerprintDatabase(path).hash }
    } finally {
      database.close()
    }
  })
}
