// The main thread's end of the thread that applies what may take long.
import { readEntry, type Entry } from '../raft/entry.ts'
import { DatabaseThread, type ThreadFailure } from './database-thread.ts'
import { mayReplaceDatabase } from './entry-content.ts'
import type { HandedOver } from './packed-results.ts'
import type { Replacement } from './replacements.ts'
import { syncSteadily } from './steady-sync.ts'
import type { StateHash } from './state-hash.ts'

export interface ApplyRequest {
  readonly kind: 'apply'
  /** The entries' records, one after the other, in a buffer of their own. */
  readonly records: Uint8Array
}

/** The next database is to be made beside the present one (replacements.ts). */
export interface ReplaceRequest {
  readonly kind: 'replace'
  readonly record: Uint8Array
  readonly path: string
}

export interface ReplaceReply {
  readonly kind: 'replaced'
  readonly replacement: Replacement
}

export interface ApplyReply {
  readonly kind: 'applied'
  /** One or more transactions, committed. */
  readonly applied: readonly HandedOver[]
  /** Behind each of `applied`; undefined where no command has changed it. */
  readonly hashes: readonly (StateHash | undefined)[]
  /** The thread writes no more. */
  readonly isLast: boolean
}

/** What waits at the time goes along, because it must wait anyway; more would only hold back the answers. */
const entriesMax = 1_024

export class ApplyElsewhere {
  readonly #thread: DatabaseThread<ApplyRequest | ReplaceRequest, ApplyReply | ReplaceReply>
  readonly #onFailed: (failure: ThreadFailure, cause: unknown) => void
  /** Of the last new database. */
  #stopSyncing: (() => Promise<void>) | undefined

  constructor(options: {
    readonly path: string
    readonly onApplied: (reply: ApplyReply) => void
    readonly onReplaced: (reply: ReplaceReply) => void
    readonly onFailed: (failure: ThreadFailure, cause: unknown) => void
  }) {
    const { path, onApplied, onReplaced, onFailed } = options
    this.#onFailed = onFailed
    this.#thread = new DatabaseThread({
      file: new URL('apply-thread.ts', import.meta.url),
      name: 'apply-thread',
      path,
      onReply: (reply) => {
        if (reply.kind === 'applied') return onApplied(reply)
        // What has the new file open must have closed it before it becomes the database: closing drops the locks of the whole process.
        void this.#stopSyncing?.().then(() => onReplaced(reply))
      },
      onFailed,
    })
  }

  /** Takes from the front what it will apply, at least one entry, and says how many. The caller writes nothing until the last reply. */
  apply(entries: readonly Entry[]): number {
    // Hashes are compared where those of earlier entries are remembered; the database is replaced where everybody can close it.
    // The first one is neither.
    const endAt = entries.findIndex((entry, at) => at > 0 && (entry.kind === 'state-hash' || mayReplaceDatabase(entry)))
    const taken = entries.slice(0, Math.min(entriesMax, endAt === -1 ? Infinity : endAt))
    const records = new Uint8Array(taken.reduce((sum, { bytes }) => sum + bytes.length, 0))
    let at = 0
    for (const { bytes } of taken) {
      records.set(bytes, at)
      at += bytes.length
    }
    this.#thread.ask({ kind: 'apply', records }, [records.buffer])
    return taken.length
  }

  /** `path`: where the next database is made. The caller writes nothing until it is answered. */
  replace(entry: Entry, path: string): void {
    this.#stopSyncing = syncSteadily(path, (error) =>
      this.#onFailed({ kind: 'failed', code: 'database_failed', message: 'a new database could not be synced' }, error),
    )
    this.#thread.ask({ kind: 'replace', record: entry.bytes, path })
  }

  release(): void {
    this.#thread.release()
  }

  async close(): Promise<void> {
    await this.#stopSyncing?.()
    await this.#thread.close()
  }
}

export function entriesOf(records: Uint8Array): readonly Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < records.length;) {
    const entry = readEntry(records, at, { owned: true })
    if (typeof entry === 'string') throw new Error(`an entry handed to the thread cannot be read: ${entry}`)
    entries.push(entry)
    at += entry.bytes.length
  }
  return entries
}
