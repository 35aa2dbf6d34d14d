// The flags that work today. A row moves here from later-flags.ts with the code that gives it meaning.
import type { FlagRow } from './flag.ts'

export const logLevels = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'OFF'] as const

const apiFlags = {
  'http-addr': {
    kind: 'address',
    group: 'HTTP API',
    default: 'localhost:4001',
    help: 'Address the API listens on. `:4001` listens on every interface.',
  },
  'http-adv-addr': {
    kind: 'address',
    group: 'HTTP API',
    default: '',
    help: 'Address under which clients and other nodes reach the API. Without it: the one it listens on. Must not be 0.0.0.0 or ::.',
  },
  'http-allow-origin': {
    kind: 'string',
    group: 'HTTP API',
    default: '',
    help: 'Value of the header Access-Control-Allow-Origin, sent as it is.',
  },
  'http-cert': {
    kind: 'path',
    group: 'HTTP API',
    default: '',
    help: 'X.509 certificate of the API (PEM, chain allowed). With -http-key it turns HTTPS on.',
  },
  'http-key': { kind: 'path', group: 'HTTP API', default: '', help: 'Private key of -http-cert (PEM). Must not be readable by others.' },
  'http-ca-cert': {
    kind: 'path',
    group: 'HTTP API',
    default: '',
    help: 'X.509 CA certificates (PEM) that vouch for client certificates, and for the API asked by `-join https://…`. Without it: the CAs of the host.',
  },
  'http-verify-client': {
    kind: 'bool',
    group: 'HTTP API',
    default: 'false',
    help: 'Mutual TLS: only clients with a certificate of -http-ca-cert may speak to the API.',
  },
  'http-verify-common-name': {
    kind: 'string',
    group: 'HTTP API',
    default: '',
    help: 'Common Name that the certificate of every client must carry, exactly. It needs -http-verify-client.',
  },
  'http-no-verify': {
    kind: 'bool',
    group: 'HTTP API',
    default: 'false',
    help: 'Do not verify the certificate of the API asked by `-join https://…`. For tests only: whoever answers there sees the join credentials.',
  },
} as const satisfies Record<string, FlagRow>

const raftPortFlags = {
  'node-cert': {
    kind: 'path',
    group: 'Raft port',
    default: '',
    help: 'X.509 certificate of this node (PEM), shown as server and as client. With -node-key it turns TLS between nodes on.',
  },
  'node-key': { kind: 'path', group: 'Raft port', default: '', help: 'Private key of -node-cert (PEM). Must not be readable by others.' },
  'node-ca-cert': {
    kind: 'path',
    group: 'Raft port',
    default: '',
    help: 'X.509 CA certificates (PEM) that vouch for the other nodes. Without it: the CAs of the host.',
  },
  'node-verify-client': {
    kind: 'bool',
    group: 'Raft port',
    default: 'false',
    help: 'Mutual TLS: only nodes with a certificate of -node-ca-cert may speak to the Raft port.',
  },
  'node-verify-common-name': {
    kind: 'string',
    group: 'Raft port',
    default: '',
    help: 'Common Name that the certificate of every calling node must carry, exactly. It needs -node-verify-client.',
  },
  'node-verify-server-name': {
    kind: 'string',
    group: 'Raft port',
    default: '',
    help: 'Name that the certificate of a dialled node must carry, instead of the host that was dialled. For certificates shared by all nodes.',
  },
  'node-no-verify': {
    kind: 'bool',
    group: 'Raft port',
    default: 'false',
    help: 'Do not verify certificates between nodes, in either direction. For tests only: traffic is encrypted, but to whom is not known.',
  },
  'node-encrypt': {
    kind: 'bool',
    group: 'Raft port',
    default: 'false',
    help: 'Old word for TLS between nodes. It needs -node-cert and -node-key, which alone are enough today.',
  },
} as const satisfies Record<string, FlagRow>

const raftFlags = {
  'node-id': {
    kind: 'string',
    group: 'Raft',
    default: '',
    help: 'Name of this node, unique in the cluster, never changed. Without it: the advertised Raft address.',
  },
  'raft-addr': {
    kind: 'address',
    group: 'Raft',
    default: 'localhost:4002',
    help: 'Address the Raft port listens on. Other members alone need to reach it.',
  },
  'raft-adv-addr': {
    kind: 'address',
    group: 'Raft',
    default: '',
    help: 'Address under which other members reach the Raft port. Without it: the one it listens on. Must not be 0.0.0.0 or ::.',
  },
  'raft-log-level': {
    kind: 'log-level',
    group: 'Raft',
    // rqlite's is WARN and covers Raft alone; ours covers the whole program, and restarts, leaders and members must be seen without asking.
    default: 'INFO',
    help: `Least severe message that is logged: ${logLevels.join(', ')}.`,
  },
  'raft-heartbeat-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '1s',
    help: 'Silence of the leader after which a follower stands for election. Heartbeats go ten times as often.',
  },
  'raft-election-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '1s',
    help: 'Time without a result after which a candidate stands again. At least -raft-heartbeat-timeout.',
  },
  'raft-leader-lease-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '0s',
    help: 'A leader that has heard of no majority for so long steps down. 0: -raft-election-timeout, which is also the most. No read rests on it.',
  },
  'raft-commit-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '50ms',
    help: 'In quiet times followers hear of a commit so much later, at the latest with the next heartbeat.',
  },
  'raft-apply-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '10s',
    help: 'How long a write waits for room when too many are waiting to be committed; then `overloaded`. How long it waits to be committed is its parameter `timeout`.',
  },
  'raft-non-voter': {
    kind: 'bool',
    group: 'Raft',
    default: 'false',
    help: 'Read replica: receives the log for good and never votes. It must find a cluster through -join or -disco-mode.',
  },
  'raft-snap': {
    kind: 'int',
    group: 'Raft',
    default: '8192',
    help: 'The log is shortened when at least this many entries can go. The newest 10240 stay for members that lag.',
  },
  'raft-snap-int': { kind: 'duration', group: 'Raft', default: '10s', help: 'How often it is looked at whether the log can be shortened.' },
  'raft-remove-shutdown': {
    kind: 'bool',
    group: 'Raft',
    default: 'false',
    help: 'Exit (code 0) when this node was removed from the cluster. Without it the node stays, serves nothing and says so.',
  },
  'raft-cluster-remove-shutdown': {
    kind: 'bool',
    group: 'Raft',
    default: 'false',
    help: 'Leave the cluster on SIGTERM: the node asks to be removed before it stops. It cannot come back with the same data directory.',
  },
  'raft-shutdown-stepdown': { kind: 'bool', group: 'Raft', default: 'true', help: 'A leader hands over before it stops.' },
  'raft-reap-node-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '0h',
    help: 'The leader removes a voter that it has not heard of for this long, never below a safe number (docs/operations.md). 0: never.',
  },
  'raft-reap-read-only-node-timeout': {
    kind: 'duration',
    group: 'Raft',
    default: '0h',
    help: 'The leader removes a read replica that it has not heard of for this long. 0: never.',
  },
} as const satisfies Record<string, FlagRow>

const joiningFlags = {
  join: {
    kind: 'join-list',
    group: 'Joining',
    default: '',
    help: 'Comma list of members to join through: Raft addresses (host:port), or API addresses (https://host:port), which are asked for the Raft address.',
  },
  'join-as': {
    kind: 'string',
    group: 'Joining',
    default: '',
    help: 'User whose name and password, from this node’s own -auth file, authorise the join. A bcrypt hash cannot be sent: the entry needs a cleartext password.',
  },
  'join-attempts': {
    kind: 'int',
    group: 'Joining',
    default: '5',
    help: 'How often every address of -join is tried before the node gives up and exits.',
  },
  'join-interval': { kind: 'duration', group: 'Joining', default: '3s', help: 'Pause between two rounds of -join.' },
  'bootstrap-expect': {
    kind: 'int',
    group: 'Joining',
    default: '0',
    help: 'Form a new cluster once this many nodes, all started with it, have met through -join. 0: join, or stand alone.',
  },
  'bootstrap-expect-timeout': {
    kind: 'duration',
    group: 'Joining',
    default: '120s',
    help: 'How long -bootstrap-expect waits for the others before the node exits.',
  },
} as const satisfies Record<string, FlagRow>

const discoveryFlags = {
  'disco-mode': {
    kind: 'disco-mode',
    group: 'Discovery',
    default: '',
    help: 'Other nodes are found in DNS instead of by -join: dns (addresses of a name) or dns-srv (SRV records). A voter needs -bootstrap-expect as well.',
  },
  'disco-config': {
    kind: 'string',
    group: 'Discovery',
    default: '',
    help: 'What -disco-mode asks for, as JSON or as the path of a file with it; $VAR and ${VAR} stand for variables of the environment. dns: {"name":"rqlite","port":4002}, the port of -raft-adv-addr by default. dns-srv: {"name":"x","service":"raft"} for _raft._tcp.x.',
  },
} as const satisfies Record<string, FlagRow>

const queueFlags = {
  'write-queue-capacity': {
    kind: 'int',
    group: 'Queued writes',
    default: '1024',
    help: 'Requests that the write queue holds (`/db/execute?queue`). Beyond them, and beyond 64 MiB, it answers `overloaded`.',
  },
  'write-queue-batch-size': {
    kind: 'int',
    group: 'Queued writes',
    default: '128',
    help: 'Statements of the queue that are written together. A larger request is written as it is.',
  },
  'write-queue-timeout': {
    kind: 'duration',
    group: 'Queued writes',
    default: '50ms',
    help: 'Longest wait for a batch to fill. 0: none.',
  },
  'write-queue-tx': {
    kind: 'bool',
    group: 'Queued writes',
    default: 'false',
    help: 'Write each batch in one transaction: one statement that fails takes its whole batch along, other requests of the same user included.',
  },
} as const satisfies Record<string, FlagRow>

const databaseFlags = {
  fk: {
    kind: 'bool',
    group: 'Database',
    default: 'false',
    help: 'SQLite enforces foreign keys. A setting of the cluster: the leader’s flag counts, the others follow it and warn.',
  },
  'auto-optimize-int': {
    kind: 'duration',
    group: 'Database',
    default: '24h',
    help: 'How often the leader lets all nodes run PRAGMA optimize; 0: never.',
  },
  'auto-vacuum-int': {
    kind: 'duration',
    group: 'Database',
    default: '0s',
    help: 'How often the leader lets all nodes run VACUUM, counted from the last one, over restarts; 0: never.',
  },
  'auto-check-int': {
    kind: 'duration',
    group: 'Database',
    default: '24h',
    help: 'How often the leader has all nodes read through their databases and compare them; also after the start of a node that was not closed as usual. 0: only when POST /check asks for it.',
  },
  'db-max-ro-conns': {
    kind: 'int',
    group: 'Database',
    default: '256',
    help: 'Processes at most in which reads run that may take long. There are never more than two a processor, 16, and one for each 256 MiB of memory.',
  },
} as const satisfies Record<string, FlagRow>

export const workingFlags = {
  help: { kind: 'bool', group: 'General', default: 'false', help: 'Show this list and exit.' },
  version: { kind: 'bool', group: 'General', default: 'false', help: 'Show the version and exit.' },
  ...apiFlags,
  auth: {
    kind: 'path',
    group: 'Users',
    default: '',
    help: 'Access file: JSON list of users, passwords (cleartext or bcrypt) and permissions. Without it everybody may do everything.',
  },
  ...raftPortFlags,
  ...raftFlags,
  ...joiningFlags,
  ...discoveryFlags,
  ...queueFlags,
  ...databaseFlags,
} as const satisfies Record<string, FlagRow>

export type WorkingFlags = typeof workingFlags
export type WorkingFlag = keyof WorkingFlags
