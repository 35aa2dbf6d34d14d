// What is done with a log that is damaged in its synced part: what can still be known of it, and where it is put. Nothing here opens it again.
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { HardState } from '../raft/raft-port.ts'
import { syncDirectory } from './directory-disk.ts'
import type { LogDisk } from './log-disk.ts'
import { readSegment, segmentsOn } from './log-recovery.ts'
import { decodeSegmentHeader, isZeroFrom, nextFrameBehind, segmentHeaderBytes, type Frame, type LogId } from './segment-format.ts'

/**
 * Term and vote of the newest write that a damaged log ever made durable: every frame has them, so one whole frame that ends the log (with nothing but zeros behind it) is
 * enough. Undefined when the log does not end with a whole frame: one that held a newer vote may have stood there, and to vote again would be to vote twice (Raft §5.2).
 */
export function salvageHardState(disk: LogDisk, logId: LogId): HardState | undefined {
  // The last segment may have been begun without a frame having come into it; then the one before it ends the log.
  for (const segment of segmentsOn(disk).toReversed()) {
    const bytes = readSegment(disk, segment, new Uint8Array(0))
    let last: Frame | undefined
    for (let at = segmentHeaderBytes - 1; ; at = last.end - 1) {
      const next = nextFrameBehind(logId, segment, bytes, at)
      if (next === undefined) break
      last = next
    }
    if (last !== undefined) return isZeroFrom(bytes, last.end) ? last.hardState : undefined
    const isEmpty =
      bytes.length >= segmentHeaderBytes && isZeroFrom(bytes, segmentHeaderBytes) && typeof decodeSegmentHeader(bytes, logId) === 'object'
    if (!isEmpty) return undefined
  }
  return undefined
}

/**
 * Puts the directory of a damaged log beside itself as `<name>.damaged-<n>`, for examination, and an empty one in its place; an older one that was put aside goes. Gives
 * the path it has now. Durable when it returns. After a crash in between the directory may be missing; it holds no log then, and it was not made new.
 */
export function setAside(directory: string): string {
  const parent = dirname(directory)
  const prefix = `${basename(directory)}.damaged-`
  const older = readdirSync(parent).filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
  const number = 1 + older.reduce((max, name) => Math.max(max, Number(name.slice(prefix.length))), 0)
  const path = join(parent, `${prefix}${number}`)
  renameSync(directory, path)
  mkdirSync(directory, { mode: 0o700 })
  syncDirectory(parent)
  for (const name of older) rmSync(join(parent, name), { recursive: true })
  return path
}
