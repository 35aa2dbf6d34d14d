// The main thread's end of the thread that applies what may take long.
import { readEntry, type Entry } from '../raft/entry.ts'
import type { Applied } from '../replica/state-machine.ts'
import { DatabaseThread, type ThreadFailure } from './database-thread.ts'
import type { StateHash } from './state-hash.ts'

export interface ApplyRequest {
  readonly kind: 'apply'
  /** The entries' records, one after the other, in a buffer of their own. */
  readonly records: Uint8Array
}

export interface ApplyReply {
  readonly kind: 'applied'
  /** One or more transactions, committed. */
  readonly applied: readonly Applied[]
  /** Behind each of `applied`; undefined where no command has changed it. */
  readonly hashes: readonly (StateHash | undefined)[]
  /** The thread writes no more. */
  readonly isLast: boolean
}

/** What waits at the time goes along, because it must wait anyway; more would only hold back the answers. */
const entriesMax = 1_024

export class ApplyElsewhere {
  readonly #thread: DatabaseThread<ApplyRequest, ApplyReply>

  constructor(options: {
    readonly path: string
    readonly foreignKeys: boolean
    readonly onApplied: (reply: ApplyReply) => void
    readonly onFailed: (failure: ThreadFailure, cause: unknown) => void
  }) {
    const { path, foreignKeys, onApplied, onFailed } = options
    this.#thread = new DatabaseThread({
      file: new URL('apply-thread.ts', import.meta.url),
      name: 'apply-thread',
      path,
      foreignKeys,
      onReply: onApplied,
      onFailed,
    })
  }

  /** Takes from the front what it will apply, at least one entry, and says how many. The caller writes nothing until the last reply. */
  apply(entries: readonly Entry[]): number {
    // Hashes are compared where those of earlier entries are remembered.
    const hashAt = entries.findIndex(({ kind }) => kind === 'state-hash')
    const taken = entries.slice(0, Math.min(entriesMax, hashAt === -1 ? Infinity : hashAt))
    const records = new Uint8Array(taken.reduce((sum, { bytes }) => sum + bytes.length, 0))
    let at = 0
    for (const { bytes } of taken) {
      records.set(bytes, at)
      at += bytes.length
    }
    this.#thread.ask({ kind: 'apply', records }, [records.buffer])
    return taken.length
  }

  release(): void {
    this.#thread.release()
  }

  close(): Promise<void> {
    return this.#thread.close()
  }
}

export function entriesOf({ records }: ApplyRequest): readonly Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < records.length;) {
    const entry = readEntry(records, at, { owned: true })
    if (typeof entry === 'string') throw new Error(`an entry handed to the thread cannot be read: ${entry}`)
    entries.push(entry)
    at += entry.bytes.length
  }
  return entries
}
