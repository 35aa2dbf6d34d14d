// What the parts of this room know of the node that they belong to.
import type { TlsMaterial } from '../../runtime/tls-files.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import type { Life } from './hello.ts'
import type { PeerTlsRules } from './peer-tls.ts'

export interface LocalNode {
  readonly nodeId: NodeId
  readonly incarnation: string
  /** Of the program; shown by other members' `/nodes`. */
  readonly version: string
  /** Undefined: plain TCP, because no node certificate was given. */
  readonly tls: LocalTls | undefined
  /** Where this node's disk stands now. */
  life(): Life
  /** Undefined until this node has formed or joined a cluster. */
  clusterId(): string | undefined
  /** The members as this node knows them now; never itself. */
  member(id: NodeId): Member | undefined
  /** Incarnations under which `id` was a member and is none any more. */
  removed(id: NodeId): readonly string[]
}

export interface LocalTls {
  readonly rules: PeerTlsRules
  /** What is in force now; may be newer at the next call. */
  material(): TlsMaterial
}
