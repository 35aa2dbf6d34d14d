// Snapshots of the SQLite state machine: whole database files. See snapshot-copies.ts for those made here, snapshot-staging.ts for those received and
// snapshot-install.ts for how one becomes the database.
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import type { Result } from '../../runtime/result.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { SnapshotManifest, SnapshotStore, StagedSnapshot } from '../replica/snapshot-store.ts'
import type { ReadFreeBytes } from './disk-space.ts'
import type { OnFatal } from './fatal.ts'
import { SnapshotCopies, type CopiedState, type CopiesClock } from './snapshot-copies.ts'
import { snapshotBytes, type SnapshotPaths } from './snapshot-directory.ts'
import { beginInstall, endInstall, installFiles, swapDatabase, type InstallFiles, type InstallPlace } from './snapshot-install.ts'
import { SnapshotStaging } from './snapshot-staging.ts'
import type { StoreLogger } from './store-logger.ts'

/** Whoever has the database open: closes it, and opens what then has its name. Both synchronous. */
interface DatabaseUser {
  suspend(): void
  resume(): void
}

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
  readonly #place: InstallPlace

  constructor(options: SnapshotStoreOptions) {
    this.#options = options
    this.#copies = new SnapshotCopies(options)
    this.#staging = new SnapshotStaging(options)
    this.#place = { files: options.files ?? installFiles, paths: options.paths, databasePath: options.databasePath }
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
    const { users, onFatal, logger } = this.#options
    const startedAtMs = performance.now()
    try {
      beginInstall(this.#place, { point, reset })
      this.#copies.suspend()
      for (const user of users.toReversed()) user.suspend()
      swapDatabase(this.#place)
      for (const user of users) user.resume()
    } catch (error) {
      onFatal({ code: 'database_failed', message: `while installing the snapshot of entry ${point.index}`, cause: error })
      return
    }
    this.#staging.taken()
    logger.info({ index: point.index, term: point.term, ms: Math.round(performance.now() - startedAtMs) }, 'snapshot installed')
  }

  installed(): void {
    endInstall(this.#place)
    void rm(this.#options.paths.replaced, { force: true })
  }

  /** Of all snapshots on this disk. */
  bytes(): number {
    return snapshotBytes(this.#options.paths)
  }

  async close(): Promise<void> {
    await this.#copies.close()
    await this.#staging.close()
  }
}
