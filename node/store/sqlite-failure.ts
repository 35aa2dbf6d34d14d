// Which of SQLite's errors are answers and which mean that the world under it is broken. An answer must be the same on every node, so it depends on the log alone;
// an environment error depends on this machine and must never be recorded as a result.
import Database from 'better-sqlite3'
import type { FatalCode } from './fatal.ts'

/** Thrown through the apply path and caught by the state machine only. */
export class EnvironmentFailure extends Error {
  readonly code: FatalCode = 'database_failed'
}

/** Thrown by a function of ours within a statement: an answer, like SQLite's own errors. */
export class FunctionRefusal extends Error {}

/** An EnvironmentFailure of a command that this program is too old to read. */
export class NewerCommand extends EnvironmentFailure {
  override readonly code = 'command_version_unknown'
}

// By primary result code. SQLITE_LOCKED is not here: without a shared cache (this build has none) it only arises between statements of one connection, alike on every node.
const environmentCodes =
  /^SQLITE_(FULL|IOERR|NOMEM|BUSY|CORRUPT|NOTADB|CANTOPEN|PROTOCOL|PERM|READONLY|INTERRUPT|NOLFS|MISUSE|INTERNAL|AUTH|FORMAT)(_|$)/
// Findings of a virtual table about its own content (FTS5 'integrity-check'), or about sqlite_sequence as users have left it: the same on every node.
const answers: ReadonlySet<string> = new Set(['SQLITE_CORRUPT_VTAB', 'SQLITE_CORRUPT_SEQUENCE'])

function isEnvironmentCode(code: string): boolean {
  return environmentCodes.test(code) && !answers.has(code)
}

/** The message of an error that is an answer. Environment errors come out as EnvironmentFailure, errors that are none of SQLite's as they are. */
export function answerOf(error: unknown): string {
  if (error instanceof Database.SqliteError) {
    if (isEnvironmentCode(error.code)) throw new EnvironmentFailure(`${error.code}: ${error.message}`, { cause: error })
    return error.message
  }
  if (error instanceof FunctionRefusal) return error.message
  // The binding's own refusals: number of values, values it cannot bind, texts without a statement. They depend on the statement alone.
  if (error instanceof RangeError || error instanceof TypeError) return error.message
  throw error
}

/**
 * The same for a read: its answer is recorded nowhere, so what one query may cause by itself (no memory, no room for a temporary file, a moment's lock) is told to its
 * client and ends nothing.
 */
export function answerOfRead(error: unknown): string {
  const isOwnFault = error instanceof Database.SqliteError && /^SQLITE_(NOMEM|FULL|BUSY|INTERRUPT)(_|$)/.test(error.code)
  return isOwnFault ? error.message : answerOf(error)
}

/** For statements of our own, which have no reason to fail but the machine's: none of SQLite's errors is an answer. */
export function runOwn<Value>(statements: () => Value): Value {
  try {
    return statements()
  } catch (error) {
    throw new EnvironmentFailure(answerOf(error), { cause: error })
  }
}

/** No more room: the disk's, or a table's whose rowids are used up. The code is the same; `disk-space.ts` tells them apart. */
export function isFull(error: unknown): error is Error {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_FULL'
}
