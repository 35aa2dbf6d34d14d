// Port: who this data directory is. Owned by the peer room; `node/store` implements it with one file, written durably before it counts.
import type { Membership, NodeId } from '../raft/membership.ts'

export interface ClusterIdentity {
  /** Random, chosen by whoever formed the cluster; two clusters never merge. */
  readonly clusterId: string
  /** Members known when this node formed or joined: whom to speak to until the log says otherwise. */
  readonly members: Membership
  /** `formed`: `members` is also the log's first entry. `joined`: the log comes from the leader. */
  readonly origin: 'formed' | 'joined'
}

export interface IdentityStore {
  readonly nodeId: NodeId
  /** Random, made with the data directory. Never logged, never shown: besides certificates it is what proves that a caller is that member. */
  readonly incarnation: string
  /** Counts the starts of this data directory; counted on durably before anyone is spoken to. Absent: the store does not count. */
  readonly life?: number
  readonly cluster: ClusterIdentity | undefined
  /** Durable when it resolves. A node adopts once in its life: a second, different cluster is a bug and crashes. */
  adopt(cluster: ClusterIdentity): Promise<void>
}
