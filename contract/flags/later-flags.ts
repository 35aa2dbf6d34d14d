// Flags of rqlite whose function comes later. Given on the command line they are refused by name: a backup that never runs is worse than a node that does not start.
import type { FlagRow } from './flag.ts'

const raftLater = {
  'raft-apply-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '10s',
    help: 'Longest wait for a write to be applied. Today every request names its own with the parameter `timeout`.',
  },
  'http-verify-common-name': { kind: 'string', group: 'HTTP API', default: '', help: 'Common Name that a client certificate must carry.' },
  'node-verify-common-name': {
    kind: 'string',
    group: 'Raft port',
    default: '',
    help: 'Common Name that the certificate of a calling node must carry.',
  },
  'raft-non-voter': { kind: 'bool', group: 'Raft', default: 'false', help: 'Read replica: receives the log, has no vote.' },
  'raft-snap': { kind: 'int', group: 'Raft', default: '8192', help: 'Log entries after which a snapshot is taken.' },
  'raft-snap-wal-size': {
    kind: 'int',
    group: 'Raft',
    default: '4194304',
    help: 'Bytes of SQLite’s WAL after which a snapshot is taken; 0: never for that reason.',
  },
  'raft-snap-int': { kind: 'duration', group: 'Raft', default: '10s', help: 'How often the need for a snapshot is looked at.' },
  'raft-leader-lease-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '0s',
    help: 'How long a leader stays leader without hearing from a quorum.',
  },
  'raft-commit-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '50ms',
    help: 'Longest silence before the commit index is sent without new entries.',
  },
  'raft-remove-shutdown': { kind: 'bool', group: 'Raft', default: 'false', help: 'Exit when this node was removed from the cluster.' },
  'raft-cluster-remove-shutdown': { kind: 'bool', group: 'Raft', default: 'false', help: 'Leave the cluster on a graceful stop.' },
  'raft-shutdown-stepdown': { kind: 'bool', group: 'Raft', default: 'true', help: 'A leader hands over before it stops.' },
  'raft-reap-node-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '0h',
    help: 'Remove a voter that was unreachable for this long; 0: never.',
  },
  'raft-reap-read-only-node-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '0h',
    help: 'Remove a read replica that was unreachable for this long; 0: never.',
  },
  'compress-snap-transport': { kind: 'bool', group: 'Raft', default: 'false', help: 'Compress snapshots on their way to other nodes.' },
  'cluster-connect-timeout': {
    kind: 'duration',
    group: 'Joining',
    default: '30s',
    help: 'Longest wait for the first connection to another node.',
  },
} as const satisfies Record<string, FlagRow>

const dataLater = {
  // Nodes that differ in it would apply one entry differently: it must become part of what is replicated first.
  fk: { kind: 'bool', group: 'Database', default: 'false', help: 'SQLite enforces foreign keys.' },
  'disco-mode': { kind: 'string', group: 'Discovery', default: '', help: 'How other nodes are found: dns, dns-srv, consul-kv, etcd-kv.' },
  'disco-key': { kind: 'string', group: 'Discovery', default: 'rqlite', help: 'Key prefix of the KV modes.' },
  'disco-config': { kind: 'string', group: 'Discovery', default: '', help: 'Configuration of the discovery mode: JSON, or a file.' },
  'db-max-ro-conns': { kind: 'int', group: 'Database', default: '256', help: 'Read-only SQLite connections at most.' },
  'auto-vacuum-int': { kind: 'duration', group: 'Database', default: '0s', help: 'How often VACUUM runs by itself; 0: never.' },
  'auto-optimize-int': { kind: 'duration', group: 'Database', default: '24h', help: 'How often PRAGMA optimize runs by itself; 0: never.' },
  'extensions-path': { kind: 'string', group: 'Database', default: '', help: 'Comma list of SQLite extensions to load.' },
  'auto-backup': { kind: 'path', group: 'Backup', default: '', help: 'Configuration file of automatic backups.' },
  'auto-restore': { kind: 'path', group: 'Backup', default: '', help: 'Configuration file of the restore at first start.' },
  'cdc-config': { kind: 'string', group: 'Export', default: '', help: 'Configuration of change data capture: a URL, stdout, or a file.' },
  'write-queue-capacity': { kind: 'int', group: 'Queued writes', default: '1024', help: 'Statements that the write queue holds.' },
  'write-queue-batch-size': { kind: 'int', group: 'Queued writes', default: '128', help: 'Statements of the queue written together.' },
  'write-queue-timeout': { kind: 'duration', group: 'Queued writes', default: '50ms', help: 'Longest wait for a batch to fill.' },
  'write-queue-tx': { kind: 'bool', group: 'Queued writes', default: 'false', help: 'Write each batch in one transaction.' },
} as const satisfies Record<string, FlagRow>

const observationLater = {
  'otlp-endpoint': { kind: 'string', group: 'Export', default: '', help: 'Where metrics are pushed to.' },
  'otlp-interval': { kind: 'duration', group: 'Export', default: '30s', help: 'How often metrics are pushed.' },
  'otlp-insecure': { kind: 'bool', group: 'Export', default: 'false', help: 'Push metrics without TLS.' },
  'otlp-no-verify': { kind: 'bool', group: 'Export', default: 'false', help: 'Do not verify the certificate of the metrics receiver.' },
  'otlp-ca-cert': { kind: 'path', group: 'Export', default: '', help: 'CA of the metrics receiver.' },
  'otlp-cert': { kind: 'path', group: 'Export', default: '', help: 'Client certificate for the metrics receiver.' },
  'otlp-key': { kind: 'path', group: 'Export', default: '', help: 'Key of -otlp-cert.' },
  'cpu-profile': { kind: 'path', group: 'Profiling', default: '', help: 'File for a CPU profile.' },
  'mem-profile': { kind: 'path', group: 'Profiling', default: '', help: 'File for a memory profile.' },
  'trace-profile': { kind: 'path', group: 'Profiling', default: '', help: 'File for a trace.' },
} as const satisfies Record<string, FlagRow>

export const laterFlags = { ...raftLater, ...dataLater, ...observationLater } as const
