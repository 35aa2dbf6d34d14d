// What a node was told on its command line, parsed once and frozen: the composition root hands each part what it needs. Paths are as typed; nothing was opened yet.
import type { HostPort } from './host-port.ts'

/** With a password only where the old `-join https://user:password@host:port` was typed; never log it. */
export interface ApiCredentials {
  readonly username: string
  readonly password: string
}

export type JoinTarget =
  | { readonly kind: 'raft'; readonly address: HostPort }
  /** Ask this API for the Raft address (`GET /status`), then join there. */
  | { readonly kind: 'api'; readonly url: string; readonly credentials: ApiCredentials | undefined }

export interface HttpConfiguration {
  /** Empty host: every interface. */
  readonly listen: HostPort
  readonly advertised: HostPort
  /** `https://host:port`, or `http://…` without certificate. */
  readonly advertisedUrl: string
  readonly allowOrigin: string | undefined
  readonly tls:
    | { readonly certFile: string; readonly keyFile: string; readonly verifyClient: boolean; readonly clientCommonName: string | undefined }
    | undefined
  /** Vouches for clients, and for the API asked by `-join https://…`; undefined: the CAs of the host. */
  readonly caFile: string | undefined
  /** False: the API asked by `-join https://…` is not verified. */
  readonly verifyServers: boolean
}

export interface NodeTlsConfiguration {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string | undefined
  /** False: no certificate between nodes is verified, in either direction. */
  readonly verify: boolean
  readonly verifyClient: boolean
  /** Checked instead of the dialled host. */
  readonly serverName: string | undefined
  /** Of whoever calls. */
  readonly clientCommonName: string | undefined
}

export interface RaftConfiguration {
  readonly listen: HostPort
  readonly advertised: HostPort
  readonly tls: NodeTlsConfiguration | undefined
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Silence after which a follower stands for election; heartbeats go ten times as often. */
  readonly heartbeatTimeoutMs: number
  readonly electionTimeoutMs: number
  /** Without a word from a majority for so long, a leader steps down. */
  readonly leaderLeaseMs: number
  /** News of a commit goes by itself after so long, when nothing else takes it along. */
  readonly commitTimeoutMs: number
  /** How long a write waits on the leader for room in the log. */
  readonly applyTimeoutMs: number
  /** Receives the log and never votes. */
  readonly isNonVoter: boolean
  readonly compaction: {
    /** So many entries that can go are reason enough to let them go. */
    readonly everyEntries: number
    readonly intervalMs: number
  }
  readonly leaving: {
    /** Exit when this node was removed. */
    readonly exitWhenRemoved: boolean
    /** Ask to be removed on a graceful stop. */
    readonly leaveOnStop: boolean
    /** A leader hands over before it stops. */
    readonly handOverOnStop: boolean
  }
  /** Undefined: never. */
  readonly reaping: { readonly voterMs: number | undefined; readonly nonVoterMs: number | undefined }
}

export type DiscoveryMode = 'dns' | 'dns-srv'

/** `config` as typed: JSON, or the path of a file with it (flags/discovery-config.ts reads it). */
export interface DiscoveryConfiguration {
  readonly mode: DiscoveryMode
  readonly config: string | undefined
}

export interface JoinConfiguration {
  readonly targets: readonly JoinTarget[]
  /** `-disco-mode`, instead of targets. */
  readonly discovery: DiscoveryConfiguration | undefined
  /** User of the own access file who authorises the join. */
  readonly as: string | undefined
  readonly attempts: number
  readonly intervalMs: number
  /** 0: join, or stand alone. */
  readonly bootstrapExpect: number
  readonly bootstrapExpectTimeoutMs: number
}

/** Of `/db/execute?queue`. */
export interface WriteQueueConfiguration {
  /** Requests that it holds. */
  readonly capacity: number
  /** So many statements are written at once, however long they have waited. */
  readonly batchSize: number
  /** The longest that a request waits for a batch to fill. */
  readonly timeoutMs: number
  /** Each batch is one transaction. */
  readonly transaction: boolean
}

export interface NodeConfiguration {
  readonly dataDir: string
  readonly nodeId: string
  /** `-auth FILE`; undefined: everybody may do everything. */
  readonly accessFile: string | undefined
  readonly http: HttpConfiguration
  readonly raft: RaftConfiguration
  readonly database: {
    /** Reader processes at most; the store knows its own bounds. */
    readonly readersMax: number
    /** What this node proposes when it leads; a node that does not lead follows the cluster. */
    readonly foreignKeys: boolean
    /** 0: never. */
    readonly optimizeIntervalMs: number
    /** 0: never. */
    readonly vacuumIntervalMs: number
    /** Of the whole database, on all nodes. 0: only when it is asked for. */
    readonly checkIntervalMs: number
  }
  readonly join: JoinConfiguration
  readonly writeQueue: WriteQueueConfiguration
}

/** Something that works but should be changed: logged at start, once each. Never holds a secret. */
export interface ConfigurationWarning {
  readonly code:
    | 'password_in_arguments'
    | 'node_encrypt_is_old'
    | 'api_without_tls'
    | 'passwords_without_tls'
    | 'access_for_everybody'
    | 'join_over_plain_http'
    | 'join_without_verification'
    | 'raft_without_tls'
    | 'raft_without_verification'
    | 'raft_without_client_certificates'
    | 'advertised_on_localhost'
  readonly message: string
}
