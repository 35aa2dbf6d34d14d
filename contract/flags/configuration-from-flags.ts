// From typed flag values to the one configuration, defaults that depend on other flags filled in.
import assert from 'node:assert/strict'
import { formatHostPort } from '../host-port.ts'
import type { HostPort } from '../host-port.ts'
import type { HttpConfiguration, NodeConfiguration, NodeTlsConfiguration, RaftConfiguration } from '../node-configuration.ts'
import type { NodeFlagValues } from './node-flag-values.ts'

/** Frozen through and through. Pairs have been checked before: a certificate has its key. */
export function configurationFromFlags(flags: NodeFlagValues, dataDir: string): NodeConfiguration {
  const raft = raftFromFlags(flags)
  return deepFreeze({
    dataDir,
    nodeId: flags['node-id'] ?? formatHostPort(raft.advertised),
    accessFile: flags.auth,
    http: httpFromFlags(flags),
    raft,
    database: {
      readersMax: flags['db-max-ro-conns'],
      foreignKeys: flags.fk,
      optimizeIntervalMs: flags['auto-optimize-int'],
      vacuumIntervalMs: flags['auto-vacuum-int'],
      checkIntervalMs: flags['auto-check-int'],
    },
    join: {
      targets: flags.join,
      discovery: flags['disco-mode'] === undefined ? undefined : { mode: flags['disco-mode'], config: flags['disco-config'] },
      as: flags['join-as'],
      attempts: flags['join-attempts'],
      intervalMs: flags['join-interval'],
      bootstrapExpect: flags['bootstrap-expect'],
      bootstrapExpectTimeoutMs: flags['bootstrap-expect-timeout'],
    },
    writeQueue: {
      capacity: flags['write-queue-capacity'],
      batchSize: flags['write-queue-batch-size'],
      timeoutMs: flags['write-queue-timeout'],
      transaction: flags['write-queue-tx'],
    },
  })
}

function httpFromFlags(flags: NodeFlagValues): HttpConfiguration {
  const listen = required(flags['http-addr'])
  const advertised = flags['http-adv-addr'] ?? reachable(listen)
  const tls = keyPair(flags['http-cert'], flags['http-key'])
  return {
    listen,
    advertised,
    advertisedUrl: `${tls === undefined ? 'http' : 'https'}://${formatHostPort(advertised)}`,
    allowOrigin: flags['http-allow-origin'],
    tls:
      tls === undefined
        ? undefined
        : { ...tls, verifyClient: flags['http-verify-client'], clientCommonName: flags['http-verify-common-name'] },
    caFile: flags['http-ca-cert'],
    verifyServers: !flags['http-no-verify'],
  }
}

function raftFromFlags(flags: NodeFlagValues): RaftConfiguration {
  const listen = required(flags['raft-addr'])
  return {
    listen,
    advertised: flags['raft-adv-addr'] ?? reachable(listen),
    tls: nodeTlsFromFlags(flags),
    logLevel: flags['raft-log-level'],
    heartbeatTimeoutMs: flags['raft-heartbeat-timeout'],
    electionTimeoutMs: flags['raft-election-timeout'],
    leaderLeaseMs: unlessZero(flags['raft-leader-lease-timeout']) ?? flags['raft-election-timeout'],
    commitTimeoutMs: flags['raft-commit-timeout'],
    applyTimeoutMs: flags['raft-apply-timeout'],
    isNonVoter: flags['raft-non-voter'],
    compaction: { everyEntries: flags['raft-snap'], intervalMs: flags['raft-snap-int'] },
    leaving: {
      exitWhenRemoved: flags['raft-remove-shutdown'],
      leaveOnStop: flags['raft-cluster-remove-shutdown'],
      handOverOnStop: flags['raft-shutdown-stepdown'],
    },
    reaping: { voterMs: unlessZero(flags['raft-reap-node-timeout']), nonVoterMs: unlessZero(flags['raft-reap-read-only-node-timeout']) },
  }
}

function nodeTlsFromFlags(flags: NodeFlagValues): NodeTlsConfiguration | undefined {
  const tls = keyPair(flags['node-cert'], flags['node-key'])
  if (tls === undefined) return undefined
  return {
    ...tls,
    caFile: flags['node-ca-cert'],
    verify: !flags['node-no-verify'],
    verifyClient: flags['node-verify-client'],
    serverName: flags['node-verify-server-name'],
    clientCommonName: flags['node-verify-common-name'],
  }
}

function keyPair(
  certFile: string | undefined,
  keyFile: string | undefined,
): { readonly certFile: string; readonly keyFile: string } | undefined {
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile }
}

/**
 * `-raft-addr :4004`, as the security documents print it, listens everywhere but says nowhere: a node that is told no more can be reached on its own machine.
 * A warning says so. An explicit 0.0.0.0 stays what it is and is refused later: whoever writes it wants to be reached from elsewhere.
 */
function reachable(listen: HostPort): HostPort {
  return listen.host === '' ? { host: 'localhost', port: listen.port } : listen
}

function unlessZero(durationMs: number): number | undefined {
  return durationMs === 0 ? undefined : durationMs
}

function required(address: HostPort | undefined): HostPort {
  assert(address !== undefined, 'the flag has a default, and an empty address is refused before')
  return address
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  }
  return Object.freeze(value)
}
