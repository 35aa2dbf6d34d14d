// Sizes for status pages and metrics.
import { statSync } from 'node:fs'
import type { StoreFacts } from '../api/node-view.ts'
import type { SegmentLog } from '../log/segment-log.ts'

export function readStoreFacts(options: {
  readonly databasePath: string
  readonly sqliteVersion: string
  readonly foreignKeys: boolean
  readonly log: SegmentLog
  readonly snapshotBytes: number
}): StoreFacts {
  return {
    sqliteVersion: options.sqliteVersion,
    foreignKeys: options.foreignKeys,
    databaseBytes: sizeOf(options.databasePath),
    walBytes: sizeOf(`${options.databasePath}-wal`),
    logBytes: options.log.bytes(),
    logBaseIndex: options.log.reader.base.index,
    logBaseTerm: options.log.reader.base.term,
    snapshotBytes: options.snapshotBytes,
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
