// What the loop does by itself, for logs and metrics; what the core decides are RaftEvents.
import type { NodeId } from '../raft/membership.ts'
import type { LogBase } from '../raft/raft-port.ts'
import type { Standing } from './replica-port.ts'
import type { SnapshotSourceProblem } from './snapshot-source.ts'
import type { Divergence } from './state-machine.ts'

/** `disk_refused`: this node's own disk took no more of it. `snapshot_outdated`: the leader's log begins later by now. */
export type SnapshotFetchProblem = SnapshotSourceProblem | 'snapshot_corrupt' | 'snapshot_outdated' | 'disk_refused'

export type LoopEvent =
  /** `receivedBytes` above 0: a transfer that goes on where it ended. */
  | {
      readonly kind: 'snapshot-fetch-begun'
      readonly from: NodeId
      readonly index: number
      readonly bytes: number
      readonly receivedBytes: number
    }
  | {
      readonly kind: 'snapshot-fetch-progress'
      readonly from: NodeId
      readonly index: number
      readonly bytes: number
      readonly receivedBytes: number
    }
  | { readonly kind: 'snapshot-fetch-failed'; readonly from: NodeId; readonly problem: SnapshotFetchProblem }
  | { readonly kind: 'snapshot-received'; readonly from: NodeId; readonly index: number; readonly bytes: number }
  | { readonly kind: 'snapshot-installed'; readonly index: number; readonly term: number }
  | { readonly kind: 'log-compacted'; readonly base: LogBase }
  | { readonly kind: 'diverged'; readonly divergence: Divergence }
  | { readonly kind: 'standing-changed'; readonly standing: Standing }
