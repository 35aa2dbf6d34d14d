// The snapshot store's twin in memory: copies of a MemoryStateMachine, and a staging place that outlives the process.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { MemoryDisk } from './memory-log-store.ts'
import type { MemoryImage, MemoryStateMachine } from './memory-state-machine.ts'
import type { SnapshotManifest, SnapshotStore, StagedSnapshot } from './snapshot-store.ts'

/** Copies kept for those who still fetch an older one. */
const copiesMax = 2

/** What survives the process: a snapshot that is being received, and an installation that may have been interrupted. */
export class MemoryStaging {
  stage: { readonly manifest: SnapshotManifest; readonly chunks: Uint8Array[]; isFinished: boolean } | undefined
  installing: { readonly point: SnapshotPoint; readonly reset: boolean } | undefined
}

/** What opening a data directory does after a crash between installing a snapshot and beginning the log anew. */
export function mendInstall(staging: MemoryStaging, disk: MemoryDisk): void {
  const { installing } = staging
  staging.installing = undefined
  // A log that begins there or later was begun anew already, and holds what came since.
  if (installing?.reset !== true || disk.base.index >= installing.point.index) return
  disk.base = { index: installing.point.index, term: installing.point.term }
  disk.entries.length = 0
}

export class MemorySnapshotStore implements SnapshotStore {
  readonly #machine: MemoryStateMachine
  readonly #image: () => MemoryImage
  readonly #staging: MemoryStaging
  readonly #copies = new Map<string, { readonly manifest: SnapshotManifest; readonly bytes: Uint8Array }>()

  constructor(options: { readonly machine: MemoryStateMachine; readonly image: () => MemoryImage; readonly staging: MemoryStaging }) {
    this.#machine = options.machine
    this.#image = options.image
    this.#staging = options.staging
  }

  take(options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, 'snapshot_unavailable'>> {
    const newest = Array.from(this.#copies.values()).at(-1)
    if (newest !== undefined && newest.manifest.index >= options.indexMin) return Promise.resolve(ok(newest.manifest))
    const image = this.#image()
    const { membership, appliedIndex } = image
    if (this.#machine.isDiverged || membership === undefined || appliedIndex < options.indexMin)
      return Promise.resolve(fail('snapshot_unavailable'))
    const bytes = new TextEncoder().encode(JSON.stringify(image))
    const hash = sha256(bytes)
    const id = `${appliedIndex}-${hash}`
    const manifest = { id, index: appliedIndex, term: image.appliedTerm, membership, bytes: bytes.length, hash }
    this.#copies.set(id, { manifest, bytes })
    const oldest = this.#copies.size > copiesMax ? this.#copies.keys().next().value : undefined
    if (oldest !== undefined) this.#copies.delete(oldest)
    return Promise.resolve(ok(manifest))
  }

  read(options: { readonly id: string; readonly offset: number; readonly length: number }): Promise<Result<Uint8Array, 'snapshot_gone'>> {
    const bytes = this.#copies.get(options.id)?.bytes
    return Promise.resolve(bytes === undefined ? fail('snapshot_gone') : ok(bytes.slice(options.offset, options.offset + options.length)))
  }

  stage(manifest: SnapshotManifest): Promise<StagedSnapshot> {
    const staging = this.#staging
    if (!isDeepStrictEqual(staging.stage?.manifest, manifest)) staging.stage = { manifest, chunks: [], isFinished: false }
    const { stage } = staging
    assert(stage !== undefined)
    return Promise.resolve({
      manifest,
      get receivedBytes() {
        return stage.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      },
      write: (bytes) => {
        assert(staging.stage === stage, 'a stage that was given up takes no more')
        stage.chunks.push(bytes.slice())
        return Promise.resolve()
      },
      finish: () => {
        if (staging.stage === stage && imageOf(manifest, Buffer.concat(stage.chunks)) !== undefined) {
          stage.isFinished = true
          return Promise.resolve(ok(pointOf(manifest)))
        }
        if (staging.stage === stage) staging.stage = undefined
        return Promise.resolve(fail('snapshot_corrupt'))
      },
      discard: () => {
        if (staging.stage === stage) staging.stage = undefined
        return Promise.resolve()
      },
    })
  }

  install(point: SnapshotPoint, options: { readonly reset: boolean }): void {
    const { stage } = this.#staging
    assert(stage?.isFinished === true && isDeepStrictEqual(pointOf(stage.manifest), point), 'what is installed has been staged and checked')
    const image = imageOf(stage.manifest, Buffer.concat(stage.chunks))
    assert(image !== undefined)
    this.#machine.replace(image)
    this.#staging.installing = { point, reset: options.reset }
    this.#staging.stage = undefined
    // Copies of what was there before, perhaps of a state that differed.
    this.#copies.clear()
  }

  installed(): void {
    this.#staging.installing = undefined
  }

  /** All copies are given up, as under a limit of disk space. */
  forgetCopies(): void {
    this.#copies.clear()
  }
}

function pointOf({ index, term, membership }: SnapshotManifest): SnapshotPoint {
  return { index, term, membership }
}

/** Undefined when it is not what the manifest says. */
function imageOf(manifest: SnapshotManifest, bytes: Uint8Array): MemoryImage | undefined {
  if (bytes.length !== manifest.bytes || sha256(bytes) !== manifest.hash) return undefined
  const image = parseImage(new TextDecoder().decode(bytes))
  const { index, term, membership } = manifest
  const isIt = isDeepStrictEqual([image?.appliedIndex, image?.appliedTerm, image?.membership], [index, term, membership])
  return isIt ? image : undefined
}

function parseImage(text: string): MemoryImage | undefined {
  try {
    return JSON.parse(text) as MemoryImage // our own copy, or no JSON at all
  } catch {
    // SyntaxError: no copy of ours.
    return undefined
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
