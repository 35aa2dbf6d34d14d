// Rules between flags, checked before any file is touched. rqlite's own (its flags.go), and what this program's defaults demand.
import { formatHostPort, isUnspecified } from '../host-port.ts'
import type { HostPort } from '../host-port.ts'
import type { NodeConfiguration } from '../node-configuration.ts'
import type { FlagProblem } from './flag-problem.ts'
import type { NodeFlagValues } from './node-flag-values.ts'

// Below this a follower would stand for election because of a garbage collection; above it nobody waits for a failover.
const electionTimeoutMsMin = 100
const electionTimeoutMsMax = 60_000

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

const raftChecks: readonly Check[] = [
  (flags) => timeoutOutside(flags, 'raft-heartbeat-timeout'),
  (flags) => timeoutOutside(flags, 'raft-election-timeout'),
  (flags) =>
    when(
      flags['raft-election-timeout'] < flags['raft-heartbeat-timeout'],
      '-raft-election-timeout must be at least -raft-heartbeat-timeout',
    ),
  (flags) => when(flags['join-attempts'] === 0, '-join-attempts must be at least 1'),
  (flags) => when(flags['join-as'] !== undefined && flags.auth === undefined, '-join-as needs -auth: the password is taken from there'),
  (flags) => when(flags['join-as'] !== undefined && flags.join.length === 0, '-join-as needs -join'),
  (flags) =>
    when(
      flags['join-as'] !== undefined && hasUrlCredentials(flags),
      '-join-as and a user in the URL of -join contradict each other: use -join-as',
    ),
  (flags) =>
    when(flags['bootstrap-expect'] > 1 && flags.join.length === 0, '-bootstrap-expect above 1 needs -join: the other nodes must be found'),
  (flags) =>
    when(
      flags['bootstrap-expect'] > 0 && flags.join.some((target) => target.kind === 'api'),
      '-bootstrap-expect needs Raft addresses in -join: no API answers before the cluster is formed',
    ),
  (flags) =>
    when(flags['bootstrap-expect'] > 0 && flags['bootstrap-expect-timeout'] === 0, '-bootstrap-expect-timeout must be more than 0'),
]

/** The first rule that the typed values break. */
export function checkFlagValues(flags: NodeFlagValues): FlagProblem | undefined {
  return firstConflict([...tlsChecks, ...raftChecks].map((check) => () => check(flags)))
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
