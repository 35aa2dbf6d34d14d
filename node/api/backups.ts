// Port: backups of this node's database. Owned by the API; `node/files` implements it.
import type { Readable } from 'node:stream'
import type { Result } from '../../runtime/result.ts'

export interface BackupOptions {
  /** `binary` and `delete`: a database file, in WAL or in DELETE journal mode. `sql`: text that makes the same content. */
  readonly format: 'binary' | 'delete' | 'sql'
  readonly vacuum: boolean
  /** gzip. */
  readonly compress: boolean
  /** Of `sql`: these tables alone; empty: everything. */
  readonly tables: readonly string[]
  /** Nobody waits any more. */
  readonly isAbandoned: () => boolean
}

/** `backup_refused`: what was asked for does not exist, or cannot be written in this format. */
export interface BackupProblem {
  readonly code: 'overloaded' | 'no_space' | 'backup_refused' | 'backup_failed'
  readonly message: string
}

export interface Backups {
  /** Of one state, which holds everything that this node had applied when it was called. Resolves when the first bytes are there; to destroy the stream frees everything. */
  make(options: BackupOptions): Promise<Result<Readable, BackupProblem>>
}
