// Tells a disk that is full from a statement that has used up what it may use (the rowids of an AUTOINCREMENT table): SQLite has one code for both. After a real ENOSPC the
// write-ahead log has taken what there was, and a rollback does not shorten it: free space stays near zero.
import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'

/** Bytes that this process may still write where the database lies. */
export type ReadFreeBytes = () => number

/** As much as the largest entry (raft/entry.ts): a write that found no room leaves less than what it wanted to write. */
export const freeBytesMin = 64 * 1024 * 1024

export function freeBytesBeside(path: string): ReadFreeBytes {
  const directory = dirname(path)
  return () => {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  }
}
