// What a refusal of the disk means for the log.
import type { WriterFailure } from './log-writer.ts'

/** No room at a write is told apart from everything else: the operating system said so before it promised anything. */
export function failureOf(error: unknown): WriterFailure {
  const message = error instanceof Error ? error.message : String(error)
  return { kind: isDiskFull(error) ? 'disk_full' : 'disk_failed', message, cause: error }
}

export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  // A sync that finds no room has lost what was written before (delayed allocation), so it does not count.
  return (error.code === 'ENOSPC' || error.code === 'EDQUOT') && !('syscall' in error && isSync(error.syscall))
}

function isSync(syscall: unknown): boolean {
  return syscall === 'fdatasync' || syscall === 'fsync'
}
