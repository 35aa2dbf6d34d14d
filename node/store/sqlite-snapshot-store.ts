// Snapshots of the SQLite state machine: whole database files. See snapshot-copies.ts for those made here, snapshot-staging.ts for those received and
// snapshot-install.ts for how one becomes the database.
import assert from 'node:assert/strict'
import type { Result } from '../../runtime/result.ts'
import type { LogBase, SnapshotPoint } from '../raft/raft-port.ts'
import type { SnapshotManifest, SnapshotStore, StagedSnapshot } from '../replica/snapshot-store.ts'
import { DatabaseReplacement, type DatabaseUser, type NewContent } from './database-replacement.ts'
import type { ReadFreeBytes } from './disk-space.ts'
import type { OnFatal } from './fatal.ts'
import { removeInSteps } from './removal-in-steps.ts'
import { SnapshotCopies, type CopiedState, type CopiesClock } from './snapshot-copies.ts'
import { snapshotBytes, type SnapshotPaths } from './snapshot-directory.ts'
import { installFiles, type InstallFiles } from './snapshot-install.ts'
import { SnapshotStaging } from './snapshot-staging.ts'
import type { StoreLogger } from './store-logger.ts'

export interface SnapshotStoreOptions {
  readonly paths: SnapshotPaths
  readonly databasePath: string
  readonly state: CopiedState
  /** In the order in which they open it again. */
  readonly users: readonly DatabaseUser[]
  readonly clock?: CopiesClock
  readonly readFreeBytes: ReadFreeBytes
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
  readonly files?: InstallFiles
}

export class SqliteSnapshotStore implements SnapshotStore {
  readonly #options: SnapshotStoreOptions
  readonly #copies: SnapshotCopies
  readonly #staging: SnapshotStaging
  readonly #replacement: DatabaseReplacement
  readonly #closing = new AbortController()
  readonly #removed: Promise<void>

  constructor(options: SnapshotStoreOptions) {
    this.#options = options
    this.#copies = new SnapshotCopies(options)
    this.#removed = removeInSteps(options.paths.gone, this.#closing)
    this.#staging = new SnapshotStaging(options)
    const { files = installFiles, paths, databasePath, users } = options
    this.#replacement = new DatabaseReplacement({ files, paths, databasePath }, [
      ...users,
      { suspend: (content) => this.#copies.suspend(content), resume: () => {} },
    ])
  }

  take(options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, 'snapshot_unavailable'>> {
    return this.#copies.take(options.indexMin)
  }

  read(options: { readonly id: string; readonly offset: number; readonly length: number }): Promise<Result<Uint8Array, 'snapshot_gone'>> {
    return this.#copies.read(options)
  }

  stage(manifest: SnapshotManifest): Promise<StagedSnapshot> {
    return this.#staging.stage(manifest)
  }

  install(point: SnapshotPoint, { reset }: { readonly reset: boolean }): void {
    assert(this.#staging.isFinished(point), 'only a stage that was found sound is installed')
    const { paths, onFatal, logger } = this.#options
    const startedAtMs = performance.now()
    try {
      this.#replacement.replace(paths.incomingData, { point, reset }, 'other')
    } catch (error) {
      onFatal({ code: 'database_failed', message: `while installing the snapshot of entry ${point.index}`, cause: error })
      return
    }
    this.#staging.taken()
    logger.info({ index: point.index, term: point.term, ms: Math.round(performance.now() - startedAtMs) }, 'snapshot installed')
  }

  installed(): void {
    this.#replacement.ended()
  }

  /** A database that an entry has made takes the present one's place: it stands at that entry, which the log holds durably. Throws as DatabaseReplacement does. */
  replaceByEntry(from: string, point: LogBase, content: NewContent): void {
    this.#replacement.replace(from, { point, reset: false }, content)
    this.#replacement.ended()
  }

  /** Of all snapshots on this disk. */
  bytes(): number {
    return snapshotBytes(this.#options.paths)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#copies.close()
    await this.#staging.close()
    await this.#removed
  }
}
