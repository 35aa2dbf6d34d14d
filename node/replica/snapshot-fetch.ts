// Fetching a snapshot from the leader: manifest, staging place, chunks, check. It goes on where a lost connection ended, begins anew when the copy is gone or turns out to
// be damaged, and asks another leader when there is one and the first no longer answers. Nothing of it is on the way of messages: it may take minutes.
import { backOffMs } from '../../runtime/back-off.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { Clock } from './clock.ts'
import type { LoopEvent, SnapshotFetchProblem } from './loop-event.ts'
import type { SnapshotSource, SnapshotSourceProblem } from './snapshot-source.ts'
import type { SnapshotManifest, SnapshotStore, StagedSnapshot } from './snapshot-store.ts'

/** What a lost connection costs, and what both sides hold in memory. */
export const snapshotChunkBytes = 1024 * 1024
/**
 * Between two chunks the fetch rests as long as the last one took, so both loops, the leader's above all, and both disks are taken for half of the time at most. Where
 * they are busy a chunk takes longer, and so does the rest.
 */
const restMsMax = 1_000
const fetchBackOff = { firstMs: 100, maxMs: 5_000 }
/** The core repeats what it wants with each heartbeat; what it has not wanted for so long it has by other means, or will want again. */
export const wantedForMs = 60_000
const progressEveryMs = 5_000

export interface WantedSnapshot {
  readonly from: NodeId
  readonly indexMin: number
}

interface Transfer {
  readonly from: NodeId
  readonly manifest: SnapshotManifest
  readonly stage: StagedSnapshot
}

type Fetched = Result<SnapshotPoint, SnapshotFetchProblem>

export class SnapshotFetch {
  readonly #source: SnapshotSource
  readonly #snapshots: SnapshotStore
  readonly #clock: Clock
  readonly #onStaged: () => void
  readonly #report: (event: LoopEvent) => void
  #state: 'idle' | 'fetching' | 'staged' | 'closed' = 'idle'
  #wanted: WantedSnapshot = { from: '' as NodeId, indexMin: 0 }
  #wantedAtMs = 0
  #staged: SnapshotPoint | undefined
  #reportedAtMs = 0
  #endPause: () => void = () => {}

  constructor(options: {
    readonly source: SnapshotSource
    readonly snapshots: SnapshotStore
    readonly clock: Clock
    /** A whole, verified snapshot lies ready: see `staged`. */
    readonly onStaged: () => void
    readonly report: (event: LoopEvent) => void
  }) {
    this.#source = options.source
    this.#snapshots = options.snapshots
    this.#clock = options.clock
    this.#onStaged = options.onStaged
    this.#report = options.report
  }

  /** Lies ready until it is taken. */
  get staged(): SnapshotPoint | undefined {
    return this.#staged
  }

  /** Repeated as often as the core says so. */
  want(wanted: WantedSnapshot): void {
    if (this.#state === 'closed') return
    this.#wanted = wanted
    this.#wantedAtMs = this.#clock.monotonicMs()
    if (this.#state !== 'idle') return
    this.#state = 'fetching'
    void this.#run()
  }

  /** The core has been told of it; whatever it decided, this one is done with. */
  taken(): void {
    this.#staged = undefined
    if (this.#state === 'staged') this.#state = 'idle'
  }

  close(): void {
    this.#state = 'closed'
    this.#staged = undefined
    this.#endPause()
  }

  async #run(): Promise<void> {
    let transfer: Transfer | undefined
    let failures = 0
    while (this.#isWanted()) {
      const receivedBefore = transfer?.stage.receivedBytes ?? 0
      const begun: Result<Transfer, SnapshotFetchProblem> = transfer === undefined ? await this.#begin() : ok(transfer)
      const fetched: Fetched = begun.ok ? await this.#receive(begun.value) : begun
      if (!this.#isWanted()) break
      if (begun.ok && fetched.ok) return this.#finished(begun.value, fetched.value)
      if (fetched.ok) break
      const from = begun.ok ? begun.value.from : this.#wanted.from
      this.#report({ kind: 'snapshot-fetch-failed', from, problem: fetched.problem })
      // Only a lost connection leaves something to go on with; and if there is another leader by now, it is the one to ask.
      const goesOn = begun.ok && fetched.problem === 'unreachable' && from === this.#wanted.from
      transfer = goesOn ? begun.value : undefined
      failures = goesOn && begun.value.stage.receivedBytes > receivedBefore ? 1 : failures + 1
      await this.#pause(backOffMs(fetchBackOff, failures))
    }
    if (this.#state === 'fetching') this.#state = 'idle'
  }

  async #begin(): Promise<Result<Transfer, SnapshotFetchProblem>> {
    const { from, indexMin } = this.#wanted
    const manifest = await this.#source.manifest(from, { indexMin })
    if (!manifest.ok) return manifest
    const stage = await orDiskRefused(this.#snapshots.stage(manifest.value))
    if (!stage.ok) return stage
    const { index, bytes } = manifest.value
    this.#reportedAtMs = this.#clock.monotonicMs()
    this.#report({ kind: 'snapshot-fetch-begun', from, index, bytes, receivedBytes: stage.value.receivedBytes })
    return ok({ from, manifest: manifest.value, stage: stage.value })
  }

  async #receive(transfer: Transfer): Promise<Fetched> {
    const { manifest, stage } = transfer
    while (stage.receivedBytes < manifest.bytes) {
      if (!this.#isWanted()) return fail('snapshot_unavailable')
      const askedAtMs = this.#clock.monotonicMs()
      const chunk = await this.#ask(transfer)
      if (!chunk.ok) return chunk
      if (!this.#isWanted()) return fail('snapshot_unavailable')
      if (manifest.index < this.#wanted.indexMin) return fail('snapshot_outdated')
      // Nothing, or more than was asked for, is no part of this copy.
      if (chunk.value.length === 0 || stage.receivedBytes + chunk.value.length > manifest.bytes) return fail('snapshot_gone')
      const written = await orDiskRefused(stage.write(chunk.value))
      if (!written.ok) return written
      this.#progress(transfer)
      await this.#rest(this.#clock.monotonicMs() - askedAtMs)
    }
    const finished = await orDiskRefused(stage.finish())
    return finished.ok ? finished.value : finished
  }

  #ask({ from, manifest, stage }: Transfer): Promise<Result<Uint8Array, SnapshotSourceProblem>> {
    const offset = stage.receivedBytes
    const length = Math.min(snapshotChunkBytes, manifest.bytes - offset)
    return this.#source.chunk(from, { id: manifest.id, offset, length })
  }

  #finished({ from, manifest }: Transfer, point: SnapshotPoint): void {
    this.#report({ kind: 'snapshot-received', from, index: manifest.index, bytes: manifest.bytes })
    this.#staged = point
    this.#state = 'staged'
    this.#onStaged()
  }

  #progress({ from, manifest, stage }: Transfer): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#reportedAtMs < progressEveryMs) return
    this.#reportedAtMs = nowMs
    const { index, bytes } = manifest
    this.#report({ kind: 'snapshot-fetch-progress', from, index, bytes, receivedBytes: stage.receivedBytes })
  }

  #isWanted(): boolean {
    return this.#state === 'fetching' && this.#clock.monotonicMs() - this.#wantedAtMs < wantedForMs
  }

  async #rest(workedMs: number): Promise<void> {
    if (workedMs > 0) await this.#pause(Math.min(workedMs, restMsMax))
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** A full or failing disk. What was received is checked as a whole before it is used, so trying again later is safe. */
async function orDiskRefused<Value>(written: Promise<Value>): Promise<Result<Value, 'disk_refused'>> {
  try {
    return ok(await written)
  } catch {
    // Whatever the operating system says: the port rejects for nothing else.
    return fail('disk_refused')
  }
}
