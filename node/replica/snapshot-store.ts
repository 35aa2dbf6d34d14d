// Port: snapshots on this node's disk, both ways: made of its own state machine for others, and received from others to replace it (Raft §7).
// Owned by the replica loop; `node/store` implements it with SQLite files, `memory-snapshot-store.ts` in memory.
import type { Result } from '../../runtime/result.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'

export interface SnapshotManifest extends SnapshotPoint {
  /** Names this very copy: chunks of two copies of the same index never mix. */
  readonly id: string
  readonly bytes: number
  /** SHA-256 of the whole, hexadecimal. */
  readonly hash: string
}

/** What has been received of a snapshot so far; survives restarts, so that a transfer goes on where it ended. */
export interface StagedSnapshot {
  readonly manifest: SnapshotManifest
  readonly receivedBytes: number
  /** The next bytes, in order. Resolves when the disk has taken them; rejects when the disk refuses. */
  write(bytes: Uint8Array): Promise<void>
  /** Everything is here: synced, hash and database checked, the index inside of it equal to the manifest's. A refusal has discarded it. */
  finish(): Promise<Result<SnapshotPoint, 'snapshot_corrupt'>>
  discard(): Promise<void>
}

export interface SnapshotStore {
  /**
   * A consistent copy of the state machine that holds at least `indexMin`: the newest one kept, or a new one, made beside the running writes. Concurrent calls share
   * one copy. Fails when the state machine has not applied `indexMin`, or while this node's own state is in doubt.
   */
  take(options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, 'snapshot_unavailable'>>
  /** Bytes of a copy that `take` has named; shorter at its end. `snapshot_gone`: it was given up meanwhile. */
  read(options: { readonly id: string; readonly offset: number; readonly length: number }): Promise<Result<Uint8Array, 'snapshot_gone'>>
  /** Begins to receive, or goes on with what has been received of the same id; anything else that was staged is given up. */
  stage(manifest: SnapshotManifest): Promise<StagedSnapshot>
  /**
   * Replaces the database by the finished stage, at once and so that a crash at any step leaves the old or the new one, whole. With `reset`, the log is about to begin
   * anew after this point (the next Persist says so): a crash between the two is mended at the next start. Environment errors end the process.
   */
  install(point: SnapshotPoint, options: { readonly reset: boolean }): void
  /** The log has begun anew (or was kept) durably: what was remembered for a crash in between may go. */
  installed(): void
}
