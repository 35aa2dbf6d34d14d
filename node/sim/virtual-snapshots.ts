// Snapshots between simulated nodes: the store's two halves (copies for others, a staging place that outlives the process) and the source that asks other members over
// the virtual network, whose cuts, losses and delays it feels. Chunks are small here, so that a transfer meets many faults.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { SnapshotSource, SnapshotSourceProblem } from '../replica/snapshot-source.ts'
import type { SnapshotManifest, SnapshotStore, StagedSnapshot } from '../replica/snapshot-store.ts'
import type { Chance } from './chance.ts'
import type { EventQueue } from './event-queue.ts'
import type { Life } from './life.ts'
import type { VirtualNetwork } from './network.ts'
import type { SimDatabase } from './sim-machine.ts'
import type { Sometimes } from './sometimes.ts'
import { ProcessEnded } from './violation.ts'

const chunkBytesMax = 400
const copiesMax = 2

/** What survives the process. */
export class Staging {
  stage: { readonly manifest: SnapshotManifest; bytes: Uint8Array } | undefined
  /** An installation that may have been interrupted: the copy, and whether the log was to begin anew behind it. */
  installing: { readonly point: SnapshotPoint; readonly bytes: Uint8Array; readonly reset: boolean } | undefined

  forget(): void {
    this.stage = undefined
    this.installing = undefined
  }

  losePower(chance: Chance): void {
    if (this.stage !== undefined) this.stage.bytes = this.stage.bytes.slice(0, chance.below(this.stage.bytes.length + 1))
  }
}

export interface SnapshotPorts {
  readonly life: Life
  readonly database: SimDatabase
  readonly staging: Staging
  readonly queue: EventQueue
  readonly sometimes: Sometimes
  /** A step of an installation: the process may be meant to end here. */
  readonly onCall: (what: string) => void
}

export class VirtualSnapshotStore implements SnapshotStore {
  readonly #ports: SnapshotPorts
  readonly #copies = new Map<string, { readonly manifest: SnapshotManifest; readonly bytes: Uint8Array }>()

  constructor(ports: SnapshotPorts) {
    this.#ports = ports
  }

  async take(options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, 'snapshot_unavailable'>> {
    await this.#work()
    const newest = Array.from(this.#copies.values()).at(-1)
    if (newest !== undefined && newest.manifest.index >= options.indexMin) return ok(newest.manifest)
    const { life, database } = this.#ports
    // As the production's: a state in doubt is given to nobody. A removed node may lead once more, and be the only one that can bring a voter up to date.
    if (life.isAlive && life.loop?.standing() === 'diverged') return fail('snapshot_unavailable')
    const copy = database.copy()
    if (copy === undefined || copy.point.index < options.indexMin) return fail('snapshot_unavailable')
    const hash = sha256(copy.bytes)
    const manifest = { ...copy.point, id: `${copy.point.index}-${hash.slice(0, 16)}`, bytes: copy.bytes.length, hash }
    this.#copies.set(manifest.id, { manifest, bytes: copy.bytes })
    const oldest = this.#copies.size > copiesMax ? this.#copies.keys().next().value : undefined
    if (oldest !== undefined) this.#copies.delete(oldest)
    return ok(manifest)
  }

  async read(options: {
    readonly id: string
    readonly offset: number
    readonly length: number
  }): Promise<Result<Uint8Array, 'snapshot_gone'>> {
    await this.#work()
    const bytes = this.#copies.get(options.id)?.bytes
    const end = options.offset + Math.min(options.length, chunkBytesMax)
    return bytes === undefined ? fail('snapshot_gone') : ok(bytes.slice(options.offset, end))
  }

  async stage(manifest: SnapshotManifest): Promise<StagedSnapshot> {
    await this.#work()
    const { staging, sometimes } = this.#ports
    if (staging.stage?.manifest.id !== manifest.id) staging.stage = { manifest, bytes: new Uint8Array() }
    const { stage } = staging
    if (stage.bytes.length > 0) sometimes.met('snapshot transfer resumed')
    return {
      manifest,
      get receivedBytes() {
        return stage.bytes.length
      },
      write: async (bytes) => {
        await this.#work()
        assert(staging.stage === stage, 'a stage that was given up takes no more')
        stage.bytes = Buffer.concat([stage.bytes, bytes])
      },
      finish: async () => {
        await this.#work()
        assert(staging.stage === stage, 'a stage that was given up is not finished')
        if (this.#isWhole(manifest, stage.bytes)) return ok(pointOf(manifest))
        sometimes.met('corrupt snapshot refused')
        staging.stage = undefined
        return fail('snapshot_corrupt')
      },
      discard: async () => {
        await this.#work()
        if (staging.stage === stage) staging.stage = undefined
      },
    }
  }

  install(point: SnapshotPoint, options: { readonly reset: boolean }): void {
    const { staging, database, sometimes, onCall } = this.#ports
    onCall('install')
    const { stage } = staging
    assert(stage !== undefined && stage.manifest.index === point.index, 'what is installed has been staged')
    sometimes.met(options.reset ? 'snapshot installed, log begun anew' : 'snapshot installed, log kept')
    staging.installing = { point, bytes: stage.bytes, reset: options.reset }
    staging.stage = undefined
    onCall('install, intent written')
    database.replace(staging.installing.bytes)
    onCall('install, database replaced')
    this.#copies.clear()
  }

  installed(): void {
    this.#ports.onCall('installed')
    this.#ports.staging.installing = undefined
  }

  #isWhole(manifest: SnapshotManifest, bytes: Uint8Array): boolean {
    if (bytes.length !== manifest.bytes || sha256(bytes) !== manifest.hash) return false
    const point = this.#ports.database.pointIn(bytes)
    return point?.index === manifest.index && point.term === manifest.term
  }

  /** A thread or a disk works; the process may end meanwhile, and then nothing of this ever goes on. */
  #work(): Promise<void> {
    const { queue, life } = this.#ports
    if (!life.isAlive) throw new ProcessEnded('a snapshot')
    return new Promise((resolve) => queue.after(0.5, life, resolve))
  }
}

export class VirtualSnapshotSource implements SnapshotSource {
  readonly #ports: SnapshotPorts
  readonly #network: VirtualNetwork
  readonly #chance: Chance
  readonly #lifeOf: (id: NodeId) => Life | undefined

  constructor(
    ports: SnapshotPorts,
    options: { readonly network: VirtualNetwork; readonly chance: Chance; readonly lifeOf: (id: NodeId) => Life | undefined },
  ) {
    this.#ports = ports
    this.#network = options.network
    this.#chance = options.chance
    this.#lifeOf = options.lifeOf
  }

  manifest(from: NodeId, options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, SnapshotSourceProblem>> {
    return this.#ask(from, (store) => store.take(options))
  }

  async chunk(
    from: NodeId,
    options: { readonly id: string; readonly offset: number; readonly length: number },
  ): Promise<Result<Uint8Array, SnapshotSourceProblem>> {
    const chunk = await this.#ask(from, (store) => store.read(options))
    // What passes the checks of the transport in spite of everything (a sender's memory, a disk): the hash of the whole finds it.
    if (!chunk.ok || chunk.value.length === 0 || !this.#chance.happens(this.#network.weather.spoiled)) return chunk
    this.#ports.sometimes.met('snapshot chunk spoiled')
    const at = this.#chance.below(chunk.value.length)
    return ok(chunk.value.map((byte, position) => (position === at ? byte ^ (1 << this.#chance.below(8)) : byte)))
  }

  async #ask<Value>(
    from: NodeId,
    question: (store: SnapshotStore) => Promise<Result<Value, SnapshotSourceProblem>>,
  ): Promise<Result<Value, SnapshotSourceProblem>> {
    const { life, sometimes } = this.#ports
    if (!(await this.#travels(life.id, from))) return fail('unreachable')
    const asked = this.#lifeOf(from)
    if (asked?.snapshots === undefined) return fail('unreachable')
    const isAnswered = await Promise.race([
      question(asked.snapshots).then(
        (value) => ({ value }),
        (error: unknown) => {
          if (!(error instanceof ProcessEnded)) throw error
          return undefined
        },
      ),
      // Its process may end before it answers: then the connection is reset.
      this.#ended(asked),
    ])
    if (isAnswered === undefined || !asked.isAlive || !(await this.#travels(from, life.id))) {
      sometimes.met('snapshot transfer interrupted')
      return fail('unreachable')
    }
    return isAnswered.value
  }

  #ended(asked: Life): Promise<undefined> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (asked.isAlive) this.#ports.queue.after(50, this.#ports.life, look)
        else resolve(undefined)
      }
      this.#ports.queue.after(50, this.#ports.life, look)
    })
  }

  async #travels(from: NodeId, to: NodeId): Promise<boolean> {
    await new Promise<void>((resolve) => this.#ports.queue.after(this.#network.delayMs(), this.#ports.life, resolve))
    return !this.#network.isCut(from, to) && !this.#network.isCut(to, from) && !this.#chance.happens(this.#network.weather.lost)
  }
}

function pointOf({ index, term, membership }: SnapshotManifest): SnapshotPoint {
  return { index, term, membership }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
