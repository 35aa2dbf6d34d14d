// What ends the process. The store never tries again after the disk or the database has refused: a retried fsync may report success for pages that are gone, and a
// node that goes on after a failed write would differ from the others. The composition root logs and exits with the code; an orchestrator starts the node anew.
export type FatalCode =
  /** The log could not be written or synced, or its thread died: what is on the disk is unknown, so the node must not be believed when it starts again. */
  | 'log_write_failed'
  /** There was no room for a write of the log. Nothing that was acknowledged is in doubt. */
  | 'log_disk_full'
  /** An entry that should be in the log could not be read back. */
  | 'log_read_failed'
  /** SQLite reported an environment error (full, I/O, corrupt, out of memory, busy): the entry is not applied, nothing is recorded. */
  | 'database_failed'
  /** A committed command was written by a newer program: skipping it would make this node differ. */
  | 'command_version_unknown'

export interface FatalProblem {
  readonly code: FatalCode
  /** For the log: which file or entry; never SQL, never values. */
  readonly message: string
  readonly cause: unknown
}

/** Must not return in a program (it exits); in tests it may. The store does nothing more after it has called it. */
export type OnFatal = (problem: FatalProblem) => void
