// Port: a database file, or a long dump, that a client sends, before anything is done with it. Owned by the API; `node/files` implements it with files in the data directory and a process that
// may crash on what it is given.
import type { Result } from '../../runtime/result.ts'

/** `file_refused`: it is no database that this cluster could go on with, and nothing of it was used. */
export interface FileProblem {
  readonly code: 'file_refused' | 'no_space' | 'overloaded'
  readonly message: string
}

/** Sound, and as every node can open it: not byte for byte what was sent. */
export interface SoundFile {
  readonly bytes: number
  /** SHA-256, hexadecimal. */
  readonly hash: string
  /** Shorter at the end. */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** `text`: the statements of a dump, which become a database of their own. */
export type FileForm = 'database' | 'text'

export interface IncomingFile {
  /** The next bytes, in order; resolves when the next may come. */
  write(bytes: Uint8Array): Promise<Result<void, FileProblem>>
  /** After the last of them. `isAbandoned`: nobody waits any more. */
  examine(options: { readonly form: FileForm; readonly isAbandoned: () => boolean }): Promise<Result<SoundFile, FileProblem>>
  /** Nothing is left of it; whoever has begun a file ends it so. */
  discard(): Promise<void>
}

export interface FileIntake {
  /** One at a time: `overloaded` while there is another. */
  begin(): Result<IncomingFile, FileProblem>
}
