// Port: another member's snapshots. Pulled, not pushed: the receiver's disk sets the pace, a lost connection costs one chunk, and the sender keeps no state for it.
// Owned by the replica loop; `node/peer` implements it over a connection of its own, so that heartbeats never wait behind a chunk.
import type { Result } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { SnapshotManifest } from './snapshot-store.ts'

/** `unreachable`: try again later. `snapshot_unavailable`, `snapshot_gone`: ask for a manifest again. */
export type SnapshotSourceProblem = 'unreachable' | 'snapshot_unavailable' | 'snapshot_gone'

export interface SnapshotSource {
  /** May take as long as the copy takes to make. */
  manifest(from: NodeId, options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, SnapshotSourceProblem>>
  /** At most `length` bytes at `offset`, checked against transmission errors. */
  chunk(
    from: NodeId,
    options: { readonly id: string; readonly offset: number; readonly length: number },
  ): Promise<Result<Uint8Array, SnapshotSourceProblem>>
}
