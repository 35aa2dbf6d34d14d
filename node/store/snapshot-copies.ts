// Copies of the own database, made for members that need one. A copy is kept while it is asked for, so that several members, or one that comes back, share it; it costs
// the room of a whole database, so it goes when nobody has asked for a while.
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Clock } from '../replica/clock.ts'
import type { SnapshotManifest } from '../replica/snapshot-store.ts'
import type { NewContent } from './database-replacement.ts'
import { syncDirectory } from '../log/directory-disk.ts'
import { freeBytesMin, type ReadFreeBytes } from './disk-space.ts'
import { removeInSteps } from './removal-in-steps.ts'
import { SnapshotCopy } from './snapshot-copy.ts'
import { copyDirectory, type SnapshotPaths } from './snapshot-directory.ts'
import type { StoreLogger } from './store-logger.ts'

/** The newest, and one that is still being read from. */
const copiesMax = 2
/** A member that fetches asks again within seconds. */
const idleMsMax = 5 * 60_000
const sweepIntervalMs = 30_000
/** One chunk is never longer, whatever is asked for. */
const readBytesMax = 4 * 1024 * 1024

interface Copy {
  readonly manifest: SnapshotManifest
  readonly directory: string
  readonly file: FileHandle
  askedAtMs: number
}

interface Making {
  readonly copy: SnapshotCopy
  readonly done: Promise<Result<Copy, string>>
}

export type CopiesClock = Pick<Clock, 'monotonicMs' | 'every'>

const realTime: CopiesClock = {
  monotonicMs: () => performance.now(),
  every: (intervalMs, callback) => {
    const timer = setInterval(callback, intervalMs).unref()
    return () => clearInterval(timer)
  },
}

/** What a copy needs to know of the state machine. */
export interface CopiedState {
  readonly appliedIndex: number
  /** It differs from the others' and must not be passed on. */
  readonly isInDoubt: boolean
}

export class SnapshotCopies {
  readonly #paths: SnapshotPaths
  readonly #databasePath: string
  readonly #state: CopiedState
  readonly #clock: CopiesClock
  readonly #readFreeBytes: ReadFreeBytes
  readonly #logger: StoreLogger
  readonly #stopSweeping: () => void
  /** Oldest first. */
  #copies: readonly Copy[] = []
  #making: Making | undefined
  readonly #closing = new AbortController()

  constructor(options: {
    readonly paths: SnapshotPaths
    readonly databasePath: string
    readonly state: CopiedState
    readonly clock?: CopiesClock
    readonly readFreeBytes: ReadFreeBytes
    readonly logger: StoreLogger
  }) {
    this.#paths = options.paths
    this.#databasePath = options.databasePath
    this.#state = options.state
    this.#clock = options.clock ?? realTime
    this.#readFreeBytes = options.readFreeBytes
    this.#logger = options.logger
    this.#stopSweeping = this.#clock.every(sweepIntervalMs, () => void this.#sweep())
  }

  async take(indexMin: number): Promise<Result<SnapshotManifest, 'snapshot_unavailable'>> {
    // A copy that is under way may have begun before indexMin was applied: then one more is made behind it.
    for (;;) {
      if (this.#closing.signal.aborted || this.#state.isInDoubt || this.#state.appliedIndex < Math.max(1, indexMin))
        return fail('snapshot_unavailable')
      const kept = this.#copies.findLast(({ manifest }) => manifest.index >= indexMin)
      if (kept !== undefined) {
        kept.askedAtMs = this.#clock.monotonicMs()
        return ok(kept.manifest)
      }
      this.#making ??= this.#begin()
      const made = await this.#making?.done
      if (made?.ok !== true) return fail('snapshot_unavailable')
    }
  }

  async read(options: {
    readonly id: string
    readonly offset: number
    readonly length: number
  }): Promise<Result<Uint8Array, 'snapshot_gone'>> {
    const copy = this.#copies.find(({ manifest }) => manifest.id === options.id)
    if (copy === undefined) return fail('snapshot_gone')
    copy.askedAtMs = this.#clock.monotonicMs()
    const length = Math.max(0, Math.min(options.length, readBytesMax, copy.manifest.bytes - options.offset))
    const buffer = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await copy.file.read(buffer, filled, length - filled, options.offset + filled).catch(closedMeanwhile)
      if (bytesRead === 0) return fail('snapshot_gone')
      filled += bytesRead
    }
    return ok(buffer)
  }

  /** The database is about to be replaced: nothing here has it open any more when it returns, and what was copied is not passed on when the new one holds something else. */
  suspend(content: NewContent): void {
    this.#making?.copy.release()
    if (content === 'other') void this.#drop(this.#copies)
  }

  async close(): Promise<void> {
    // What is large stays, and goes after the next start.
    this.#closing.abort()
    this.#stopSweeping()
    this.#making?.copy.stop()
    await this.#making?.done
    await this.#drop(this.#copies)
  }

  /** Undefined: there is no room for another copy. */
  #begin(): Making | undefined {
    const needed = statSync(this.#databasePath).size + freeBytesMin
    if (this.#readFreeBytes() < needed) void this.#drop(this.#copies)
    const free = this.#readFreeBytes()
    if (free < needed) {
      this.#logger.error({ code: 'snapshot_no_space', neededBytes: needed, freeBytes: free }, 'no room for a copy of the database')
      return undefined
    }
    const id = randomUUID()
    const directory = copyDirectory(this.#paths, id)
    mkdirSync(directory, { mode: 0o700 })
    syncDirectory(this.#paths.directory)
    const copyPath = join(directory, 'snapshot.sqlite')
    const copy = new SnapshotCopy({ databasePath: this.#databasePath, copyPath })
    return { copy, done: this.#finish({ id, directory, copyPath, copy }) }
  }

  async #finish(parts: {
    readonly id: string
    readonly directory: string
    readonly copyPath: string
    readonly copy: SnapshotCopy
  }): Promise<Result<Copy, string>> {
    const { id, directory } = parts
    const startedAtMs = this.#clock.monotonicMs()
    const made = await parts.copy.finished
    this.#making = undefined
    if (!made.ok || this.#closing.signal.aborted || this.#state.isInDoubt) {
      rmSync(directory, { recursive: true, force: true })
      if (made.ok) return fail('no longer wanted')
      this.#logger.warn({ code: 'snapshot_copy_failed', reason: made.problem }, 'the database could not be copied')
      return made
    }
    const { point, bytes, hash } = made.value
    const file = await open(parts.copyPath, 'r')
    const copy: Copy = { manifest: { ...point, id, bytes, hash }, directory, file, askedAtMs: this.#clock.monotonicMs() }
    this.#copies = [...this.#copies, copy]
    await this.#drop(this.#copies.slice(0, -copiesMax))
    this.#logger.info({ index: point.index, bytes, ms: Math.round(this.#clock.monotonicMs() - startedAtMs) }, 'snapshot made')
    return ok(copy)
  }

  async #sweep(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    await this.#drop(this.#copies.filter(({ askedAtMs }) => nowMs - askedAtMs >= idleMsMax))
  }

  async #drop(copies: readonly Copy[]): Promise<void> {
    this.#copies = this.#copies.filter((copy) => !copies.includes(copy))
    for (const { file, directory } of copies) {
      await file.close()
      await removeInSteps(directory, this.#closing)
    }
  }
}

/** A read that was under way when the copy was given up finds its file closed. */
function closedMeanwhile(error: unknown): { readonly bytesRead: 0 } {
  if (error instanceof Error && 'code' in error && error.code === 'EBADF') return { bytesRead: 0 }
  throw error
}
