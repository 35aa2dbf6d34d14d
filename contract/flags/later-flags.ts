// Flags of rqlite whose function comes later. Given on the command line they are refused by name: a backup that never runs is worse than a node that does not start.
import type { FlagRow } from './flag.ts'

/** `why`: what stands in its place, or why it has to wait. */
export interface LaterFlagRow extends FlagRow {
  readonly why: string
}

const raftLater = {
  'raft-snap-wal-size': {
    kind: 'int',
    group: 'Raft',
    default: '4194304',
    help: 'Bytes of SQLite’s WAL after which a snapshot is taken; 0: never for that reason.',
    why: 'The database bounds its WAL by itself, whatever the log does.',
  },
  'compress-snap-transport': {
    kind: 'bool',
    group: 'Raft',
    default: 'false',
    help: 'Compress snapshots on their way to other nodes.',
    why: 'Not built: copies travel as they are.',
  },
  'cluster-connect-timeout': {
    kind: 'duration',
    group: 'Joining',
    default: '30s',
    help: 'Longest wait for the first connection to another node.',
    why: 'Each connection has its own bound (10 s); -join-attempts and -bootstrap-expect-timeout bound the whole.',
  },
} as const satisfies Record<string, LaterFlagRow>

const dataLater = {
  'disco-key': {
    kind: 'string',
    group: 'Discovery',
    default: 'rqlite',
    help: 'Key prefix of the KV modes.',
    why: 'It belongs to consul-kv and etcd-kv, which are not built.',
  },
  'extensions-path': {
    kind: 'string',
    group: 'Database',
    default: '',
    help: 'Comma list of SQLite extensions to load.',
    why: 'Native code could differ between nodes, and do anything.',
  },
  'auto-backup': {
    kind: 'path',
    group: 'Backup',
    default: '',
    help: 'Configuration file of automatic backups.',
    why: 'Backups are not built yet.',
  },
  'auto-restore': {
    kind: 'path',
    group: 'Backup',
    default: '',
    help: 'Configuration file of the restore at first start.',
    why: 'Backups are not built yet.',
  },
  'cdc-config': {
    kind: 'string',
    group: 'Export',
    default: '',
    help: 'Configuration of change data capture: a URL, stdout, or a file.',
    why: 'Changes are not captured yet: what SQLite offers for it is missing from the binding.',
  },
} as const satisfies Record<string, LaterFlagRow>

const observationLater = {
  'otlp-endpoint': {
    kind: 'string',
    group: 'Export',
    default: '',
    help: 'Where metrics are pushed to.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'otlp-interval': {
    kind: 'duration',
    group: 'Export',
    default: '30s',
    help: 'How often metrics are pushed.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'otlp-insecure': {
    kind: 'bool',
    group: 'Export',
    default: 'false',
    help: 'Push metrics without TLS.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'otlp-no-verify': {
    kind: 'bool',
    group: 'Export',
    default: 'false',
    help: 'Do not verify the certificate of the metrics receiver.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'otlp-ca-cert': {
    kind: 'path',
    group: 'Export',
    default: '',
    help: 'CA of the metrics receiver.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'otlp-cert': {
    kind: 'path',
    group: 'Export',
    default: '',
    help: 'Client certificate for the metrics receiver.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'otlp-key': {
    kind: 'path',
    group: 'Export',
    default: '',
    help: 'Key of -otlp-cert.',
    why: 'Not built: metrics are fetched from /metrics.',
  },
  'cpu-profile': {
    kind: 'path',
    group: 'Profiling',
    default: '',
    help: 'File for a CPU profile.',
    why: 'Node’s own `--cpu-prof` does it.',
  },
  'mem-profile': {
    kind: 'path',
    group: 'Profiling',
    default: '',
    help: 'File for a memory profile.',
    why: 'Node’s own `--heap-prof` does it.',
  },
  'trace-profile': {
    kind: 'path',
    group: 'Profiling',
    default: '',
    help: 'File for a trace.',
    why: 'Node’s own `--trace-event-categories` does it.',
  },
} as const satisfies Record<string, LaterFlagRow>

export const laterFlags = { ...raftLater, ...dataLater, ...observationLater } as const
