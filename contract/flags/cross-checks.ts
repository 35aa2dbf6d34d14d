// Rules between flags, checked before any file is touched. rqlite's own (its flags.go), and what this program's defaults demand.
import { formatHostPort, isUnspecified } from '../host-port.ts'
import type { HostPort } from '../host-port.ts'
import type { NodeConfiguration } from '../node-configuration.ts'
import type { FlagProblem } from './flag-problem.ts'
import type { NodeFlagValues } from './node-flag-values.ts'

// Below this a follower would stand for election because of a garbage collection; above it nobody waits for a failover.
const electionTimeoutMsMin = 100
const electionTimeoutMsMax = 60_000

// Each look costs a barrier of the database at most.
const snapIntervalMsMin = 100

type Check = (flags: NodeFlagValues) => string | undefined

const tlsChecks: readonly Check[] = [
  (flags) => halfPair(flags, 'http-cert', 'http-key'),
  (flags) => halfPair(flags, 'node-cert', 'node-key'),
  (flags) =>
    when(
      flags['http-verify-client'] && flags['http-cert'] === undefined,
      '-http-verify-client needs -http-cert and -http-key: without TLS there are no client certificates',
    ),
  (flags) =>
    when(
      flags['http-verify-client'] && flags['http-ca-cert'] === undefined,
      '-http-verify-client needs -http-ca-cert: the CA whose clients are let in',
    ),
  (flags) =>
    when(
      flags['http-verify-common-name'] !== undefined && !flags['http-verify-client'],
      '-http-verify-common-name needs -http-verify-client',
    ),
  (flags) =>
    when(
      flags['node-verify-common-name'] !== undefined && !flags['node-verify-client'],
      '-node-verify-common-name needs -node-verify-client',
    ),
  (flags) => when(flags['node-encrypt'] && flags['node-cert'] === undefined, '-node-encrypt needs -node-cert and -node-key'),
  (flags) =>
    when(
      flags['node-ca-cert'] !== undefined && flags['node-cert'] === undefined,
      '-node-ca-cert needs -node-cert and -node-key: a node that encrypts must also be able to answer',
    ),
  (flags) => when(flags['node-verify-client'] && flags['node-cert'] === undefined, '-node-verify-client needs -node-cert and -node-key'),
  (flags) =>
    when(
      flags['node-verify-client'] && flags['node-ca-cert'] === undefined,
      '-node-verify-client needs -node-ca-cert: the CA whose nodes are let in',
    ),
  (flags) => when(flags['node-verify-client'] && flags['node-no-verify'], '-node-verify-client and -node-no-verify contradict each other'),
  (flags) =>
    when(
      flags['node-no-verify'] && flags['node-cert'] === undefined,
      '-node-no-verify without -node-cert verifies nothing because nothing is encrypted: leave it out',
    ),
  (flags) =>
    when(
      flags['node-verify-server-name'] !== undefined && flags['node-cert'] === undefined,
      '-node-verify-server-name needs -node-cert and -node-key',
    ),
  (flags) =>
    when(
      flags['node-verify-server-name'] !== undefined && flags['node-no-verify'],
      '-node-verify-server-name and -node-no-verify contradict each other',
    ),
]

// Heartbeats go ten times in a heartbeat timeout; three of them must be missed before a leader gives up.
const leaseHeartbeatsMin = 3

const raftChecks: readonly Check[] = [
  (flags) =>
    when(
      flags['raft-leader-lease-timeout'] !== 0 &&
        (flags['raft-leader-lease-timeout'] < (leaseHeartbeatsMin * flags['raft-heartbeat-timeout']) / 10 ||
          flags['raft-leader-lease-timeout'] > flags['raft-election-timeout']),
      '-raft-leader-lease-timeout must be from three tenths of -raft-heartbeat-timeout to -raft-election-timeout (0: the latter)',
    ),
  (flags) => timeoutOutside(flags, 'raft-heartbeat-timeout'),
  (flags) => timeoutOutside(flags, 'raft-election-timeout'),
  (flags) =>
    when(
      flags['raft-election-timeout'] < flags['raft-heartbeat-timeout'],
      '-raft-election-timeout must be at least -raft-heartbeat-timeout',
    ),
  (flags) => when(flags['join-attempts'] === 0, '-join-attempts must be at least 1'),
  (flags) => when(flags['join-as'] !== undefined && flags.auth === undefined, '-join-as needs -auth: the password is taken from there'),
  (flags) =>
    when(
      flags['join-as'] !== undefined && flags.join.length === 0 && flags['disco-mode'] === undefined,
      '-join-as needs -join or -disco-mode',
    ),
  (flags) =>
    when(
      flags['join-as'] !== undefined && hasUrlCredentials(flags),
      '-join-as and a user in the URL of -join contradict each other: use -join-as',
    ),
  (flags) =>
    when(
      flags['bootstrap-expect'] > 1 && flags.join.length === 0 && flags['disco-mode'] === undefined,
      '-bootstrap-expect above 1 needs -join or -disco-mode: the other nodes must be found',
    ),
  (flags) =>
    when(
      flags['bootstrap-expect'] > 0 && flags.join.some((target) => target.kind === 'api'),
      '-bootstrap-expect needs Raft addresses in -join: no API answers before the cluster is formed',
    ),
  (flags) =>
    when(flags['bootstrap-expect'] > 0 && flags['bootstrap-expect-timeout'] === 0, '-bootstrap-expect-timeout must be more than 0'),
]

// What a reaper calls silence must be far more than what an election calls silence, or a restart would cost a member its place.
const reapElections = 10

const memberChecks: readonly Check[] = [
  (flags) => when(flags['disco-mode'] !== undefined && flags.join.length > 0, '-join and -disco-mode contradict each other: use one'),
  (flags) => when(flags['disco-config'] !== undefined && flags['disco-mode'] === undefined, '-disco-config needs -disco-mode'),
  (flags) =>
    when(
      flags['disco-mode'] !== undefined && flags['bootstrap-expect'] === 0 && !flags['raft-non-voter'],
      '-disco-mode needs -bootstrap-expect on a voter: who meets through DNS must know how many they are',
    ),
  (flags) =>
    when(
      flags['raft-non-voter'] && flags['bootstrap-expect'] > 0,
      '-raft-non-voter and -bootstrap-expect contradict each other: voters form a cluster, read replicas join one',
    ),
  (flags) =>
    when(
      flags['raft-non-voter'] && flags.join.length === 0 && flags['disco-mode'] === undefined,
      '-raft-non-voter needs -join or -disco-mode: a read replica cannot stand alone',
    ),
  (flags) => when(flags['raft-snap'] === 0, '-raft-snap must be at least 1'),
  (flags) => when(flags['raft-snap-int'] < snapIntervalMsMin, `-raft-snap-int must be at least ${snapIntervalMsMin}ms`),
  (flags) => reapsTooSoon(flags, 'raft-reap-node-timeout'),
  (flags) => reapsTooSoon(flags, 'raft-reap-read-only-node-timeout'),
]

// A queue that fills for longer than a client waits by default would look like one that stands still.
const queueTimeoutMsMax = 30_000

const queueChecks: readonly Check[] = [
  (flags) => when(flags['write-queue-capacity'] === 0, '-write-queue-capacity must be at least 1'),
  (flags) => when(flags['write-queue-batch-size'] === 0, '-write-queue-batch-size must be at least 1'),
  (flags) => when(flags['write-queue-timeout'] > queueTimeoutMsMax, `-write-queue-timeout must be at most ${queueTimeoutMsMax / 1000}s`),
]

/** The first rule that the typed values break. */
export function checkFlagValues(flags: NodeFlagValues): FlagProblem | undefined {
  return firstConflict([...tlsChecks, ...raftChecks, ...memberChecks, ...queueChecks].map((check) => () => check(flags)))
}

/** Rules that need the effective addresses. */
export function checkAddresses({ http, raft, join, nodeId }: NodeConfiguration): FlagProblem | undefined {
  return firstConflict([
    () => when(collide(http.listen, raft.listen), `-http-addr and -raft-addr must differ: both are ${formatHostPort(raft.listen)}`),
    () => unusable('http-adv-addr', http.advertised),
    () => unusable('raft-adv-addr', raft.advertised),
    () => when(collide(http.advertised, raft.advertised), '-http-adv-addr and -raft-adv-addr must differ'),
    () =>
      when(
        !/^[\x21-\x2b\x2d-\x7e]{1,255}$/.test(nodeId),
        'the node id must be 1 to 255 printable ASCII characters without spaces and commas (-node-id)',
      ),
    () =>
      when(
        join.bootstrapExpect === 0 &&
          join.targets.some((target) =>
            target.kind === 'raft' ? same(target.address, raft.advertised) : target.url === http.advertisedUrl,
          ),
        '-join names this node itself: name another member, or use -bootstrap-expect',
      ),
  ])
}

function firstConflict(checks: readonly (() => string | undefined)[]): FlagProblem | undefined {
  for (const check of checks) {
    const message = check()
    if (message !== undefined) return { code: 'flags_conflict', flag: undefined, message }
  }
  return undefined
}

function when(broken: boolean, message: string): string | undefined {
  return broken ? message : undefined
}

function halfPair(flags: NodeFlagValues, cert: 'http-cert' | 'node-cert', key: 'http-key' | 'node-key'): string | undefined {
  return when((flags[cert] === undefined) !== (flags[key] === undefined), `-${cert} and -${key} go together: give both or neither`)
}

function timeoutOutside(flags: NodeFlagValues, name: 'raft-heartbeat-timeout' | 'raft-election-timeout'): string | undefined {
  return when(
    flags[name] < electionTimeoutMsMin || flags[name] > electionTimeoutMsMax,
    `-${name} must be from ${electionTimeoutMsMin}ms to ${electionTimeoutMsMax / 1000}s`,
  )
}

function reapsTooSoon(flags: NodeFlagValues, name: 'raft-reap-node-timeout' | 'raft-reap-read-only-node-timeout'): string | undefined {
  return when(
    flags[name] !== 0 && flags[name] < reapElections * flags['raft-election-timeout'],
    `-${name} must be at least ${reapElections} times -raft-election-timeout (0: never)`,
  )
}

function hasUrlCredentials(flags: NodeFlagValues): boolean {
  return flags.join.some((target) => target.kind === 'api' && target.credentials !== undefined)
}

function same(left: HostPort, right: HostPort): boolean {
  return left.port === right.port && left.host.toLowerCase() === right.host.toLowerCase()
}

/** One port twice on one interface; an unspecified address takes the port on all of them. Port 0 is a different free port each time. */
function collide(left: HostPort, right: HostPort): boolean {
  return left.port !== 0 && left.port === right.port && (same(left, right) || isUnspecified(left) || isUnspecified(right))
}

function unusable(flag: string, address: HostPort): string | undefined {
  return when(
    isUnspecified(address),
    `${formatHostPort(address)} cannot be reached by others: set -${flag} to the address under which this node is known`,
  )
}
