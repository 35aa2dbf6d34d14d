// What is being received of another member's snapshot. The manifest is on disk before the first byte, so that a transfer goes on after a restart where it ended: the file's
// length says where. Whether what lies there is what was sent, only the hash over the whole says, at the end.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { parseMembership } from '../raft/membership-codec.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { SnapshotManifest, StagedSnapshot } from '../replica/snapshot-store.ts'
import { syncDirectory } from '../log/directory-disk.ts'
import { freeBytesMin, type ReadFreeBytes } from './disk-space.ts'
import { readJson, replaceDurably } from './durable-file.ts'
import type { SnapshotPaths } from './snapshot-directory.ts'
import { examineDatabase } from './snapshot-examination.ts'
import type { StoreLogger } from './store-logger.ts'

/** So much may be written again after a power failure; syncing less at a time keeps the log's own syncs short. */
const unsyncedBytesMax = 4 * 1024 * 1024

const manifestShape = z.strictObject({
  id: z.string(),
  index: z.number(),
  term: z.number(),
  membership: z.unknown(),
  bytes: z.number(),
  hash: z.string(),
})

export interface StagingOptions {
  readonly paths: SnapshotPaths
  readonly readFreeBytes: ReadFreeBytes
  readonly logger: StoreLogger
}

/** At most one at a time. */
export class SnapshotStaging {
  readonly #options: StagingOptions
  #stage: Stage | undefined

  constructor(options: StagingOptions) {
    this.#options = options
  }

  /** Rejects when there is no room for the rest. */
  async stage(manifest: SnapshotManifest): Promise<StagedSnapshot> {
    const { paths, readFreeBytes, logger } = this.#options
    await this.close()
    if (!isDeepStrictEqual(readManifest(paths), manifest)) {
      await rm(paths.incoming, { recursive: true, force: true })
      mkdirSync(paths.incoming, { mode: 0o700 })
      syncDirectory(paths.directory)
      const { id, index, term, membership, bytes, hash } = manifest
      replaceDurably(paths.incomingManifest, JSON.stringify({ id, index, term, membership, bytes, hash }))
    }
    const file = await open(paths.incomingData, 'a', 0o600)
    syncDirectory(paths.incoming)
    const { size } = await file.stat()
    const neededBytes = manifest.bytes - size + freeBytesMin
    const freeBytes = readFreeBytes()
    if (freeBytes < neededBytes) {
      await file.close()
      logger.error({ code: 'snapshot_no_space', neededBytes, freeBytes }, 'no room for the snapshot of another member')
      throw new Error('no room for a snapshot')
    }
    this.#stage = new Stage(manifest, { file, receivedBytes: size, ...this.#options })
    return this.#stage
  }

  /** The stage that finish() has found sound, if it is this point. */
  isFinished(point: SnapshotPoint): boolean {
    return this.#stage?.finishedPoint !== undefined && isDeepStrictEqual(this.#stage.finishedPoint, point)
  }

  /** Its file has been taken away to be installed. */
  taken(): void {
    this.#stage = undefined
    rmSync(this.#options.paths.incoming, { recursive: true, force: true })
  }

  /** What has been received stays. */
  async close(): Promise<void> {
    await this.#stage?.close()
    this.#stage = undefined
  }
}

class Stage implements StagedSnapshot {
  readonly manifest: SnapshotManifest
  readonly #paths: SnapshotPaths
  readonly #logger: StoreLogger
  readonly #file: FileHandle
  #receivedBytes: number
  #unsyncedBytes = 0
  #isOpen = true
  #finishedPoint: SnapshotPoint | undefined

  constructor(manifest: SnapshotManifest, parts: StagingOptions & { readonly file: FileHandle; readonly receivedBytes: number }) {
    this.manifest = manifest
    this.#paths = parts.paths
    this.#logger = parts.logger
    this.#file = parts.file
    this.#receivedBytes = parts.receivedBytes
  }

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  get finishedPoint(): SnapshotPoint | undefined {
    return this.#finishedPoint
  }

  async write(bytes: Uint8Array): Promise<void> {
    assert(this.#isOpen, 'a stage is written to until it is finished or given up')
    let written = 0
    while (written < bytes.length) {
      const { bytesWritten } = await this.#file.write(bytes, written)
      written += bytesWritten
      this.#receivedBytes += bytesWritten
    }
    this.#unsyncedBytes += bytes.length
    if (this.#unsyncedBytes < unsyncedBytesMax) return
    await this.#file.datasync()
    this.#unsyncedBytes = 0
  }

  async finish(): Promise<Result<SnapshotPoint, 'snapshot_corrupt'>> {
    await this.#file.sync()
    await this.close()
    const problem = await this.#problem()
    if (problem !== undefined) {
      const { index, bytes } = this.manifest
      this.#logger.error({ code: 'snapshot_corrupt', index, bytes, reason: problem }, 'received snapshot thrown away')
      await this.discard()
      return fail('snapshot_corrupt')
    }
    const { index, term, membership } = this.manifest
    this.#finishedPoint = { index, term, membership }
    return ok(this.#finishedPoint)
  }

  async discard(): Promise<void> {
    await this.close()
    this.#finishedPoint = undefined
    await rm(this.#paths.incoming, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#file.close()
  }

  async #problem(): Promise<string | undefined> {
    const { manifest } = this
    const { size } = statSync(this.#paths.incomingData)
    if (size !== manifest.bytes) return `it has ${size} bytes`
    const examined = await examineDatabase(this.#paths.incomingData, { bytes: size })
    if (!examined.ok) return examined.problem
    if (examined.value.hash !== manifest.hash) return 'its hash is another'
    const { index, term, membership } = manifest
    if (!isDeepStrictEqual(examined.value.point, { index, term, membership })) return 'it holds another state than was announced'
    return undefined
  }
}

function readManifest(paths: SnapshotPaths): SnapshotManifest | undefined {
  const parsed = manifestShape.safeParse(readJson(paths.incomingManifest))
  if (!parsed.success) return undefined
  const membership = parseMembership(parsed.data.membership)
  return membership.ok ? { ...parsed.data, membership: membership.value } : undefined
}
