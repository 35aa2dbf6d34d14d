// What a replica is made of.
import type { Membership, NodeId } from '../raft/membership.ts'
import type { RaftLimits } from '../raft/raft-port.ts'
import type { Clock } from './clock.ts'
import type { LogStore } from './log-store.ts'
import type { SnapshotSource } from './snapshot-source.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import type { StateMachine } from './state-machine.ts'
import type { Transport } from './transport.ts'
import type { TrustStore } from './trust-store.ts'

/** When the beginning of the log is given up, and how much of it stays. */
export interface CompactionOptions {
  /** So many entries that could go are reason enough to let them go (rqlite's -raft-snap: 8192). */
  readonly everyEntries: number
  /** How often is looked (rqlite's -raft-snap-int: 10 s). */
  readonly intervalMs: number
  /** Applied entries that stay, for followers that lag a little (hashicorp/raft's TrailingLogs: 10240). */
  readonly trailingEntries: number
  /** The log on disk; beyond it fewer entries stay, and no follower is waited for. */
  readonly logBytesMax: number
}

export interface ReplicaOptions {
  readonly id: NodeId
  readonly log: LogStore
  readonly stateMachine: StateMachine
  readonly snapshots: SnapshotStore
  readonly snapshotSource: SnapshotSource
  readonly trust: TrustStore
  readonly transport: Transport
  readonly clock: Clock
  /** The members of a cluster that begins, the same on all of them; none for a node that joins. Used until the state machine knows better. */
  readonly bootstrap: Membership
  readonly tickMs: number
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** Absent: `electionTicks`. */
  readonly leaseTicks?: number
  /** Drawn anew at each start of each node. */
  readonly seed: number
  readonly limits: RaftLimits
  readonly compaction: CompactionOptions
  /** On the leader, so many entries apart the state machines are compared. */
  readonly stateHashEveryEntries: number
}
