// Port: what the API shows of this node and its cluster. Owned by the API; the composition root implements it from replica, store and peer.
import type { Member, NodeId } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'

export interface NodeFacts {
  readonly id: NodeId
  readonly version: string
  readonly startedAtMs: number
  readonly raftAddress: string
  /** Advertised API URL with scheme. */
  readonly apiUrl: string
  readonly httpBindAddress: string
  readonly tls: { readonly api: boolean; readonly apiVerifyClient: boolean; readonly node: boolean; readonly nodeVerifyClient: boolean }
  readonly dataDir: string
}

export interface Reachability {
  readonly reachable: boolean
  /** Round trip in seconds when reachable. */
  readonly seconds: number
  readonly version: string | undefined
  readonly error: string | undefined
}

export interface StoreFacts {
  readonly sqliteVersion: string
  readonly databaseBytes: number
  readonly walBytes: number
  readonly logBytes: number
  /** Of copies made for other members and of what is being received. */
  readonly snapshotBytes: number
}

export interface NodeView {
  readonly facts: NodeFacts
  /** Undefined until the node has formed or joined a cluster. */
  replica(): Replica | undefined
  /** Live check over the Raft port. */
  reach(member: Member, options: { readonly timeoutMs: number }): Promise<Reachability>
  store(): StoreFacts
}
