// Port: what the API shows of this node and its cluster. Owned by the API; the composition root implements it from replica, store and peer.
import type { Member, NodeId } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'

/** What the node was told, as far as /status shows it. */
export interface NodeSettings {
  readonly heartbeatTimeoutMs: number
  readonly electionTimeoutMs: number
  readonly applyTimeoutMs: number
  readonly compactionEveryEntries: number
  readonly compactionIntervalMs: number
  readonly trailingEntries: number
  /** Undefined: silent members are never removed. */
  readonly reapVoterMs: number | undefined
  readonly reapNonVoterMs: number | undefined
}

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
  readonly settings: NodeSettings
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
  /** The cluster's setting: constraints are enforced. */
  readonly foreignKeys: boolean
  readonly databaseBytes: number
  readonly walBytes: number
  readonly logBytes: number
  /** The last entry that the log has given up, 0 when none. */
  readonly logBaseIndex: number
  readonly logBaseTerm: number
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
