// A SecureSqlCluster as the rest of the operator sees it: parsed once, defaults filled in, nothing optional that has a default.
import type { NetworkPeer } from './network-peer.ts'
import type { ClusterSpec, UserSpec } from './cluster-schema.ts'

export interface Cluster {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly generation: number
  /** Voting members. */
  readonly replicas: number
  readonly storage: { readonly size: string; readonly storageClassName: string | undefined }
  /** Undefined: the image that the operator was told to use. */
  readonly image: string | undefined
  readonly resources: ClusterSpec['resources']
  readonly users: readonly ClusterUser[]
  readonly allowedClients: readonly NetworkPeer[]
  readonly deletionPolicy: 'Retain' | 'Delete'
}

export interface ClusterUser {
  readonly name: string
  readonly permissions: UserSpec['permissions']
  /** Where the password is; undefined when the operator makes one. */
  readonly passwordSecret: { readonly name: string; readonly key: string } | undefined
}

/** How many members must agree: more than half (Raft §5.2). */
export function quorumOf(replicas: number): number {
  return Math.floor(replicas / 2) + 1
}
