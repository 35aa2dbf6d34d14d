// Every flag of rqlited: it works, which is seen in the configuration, or it is refused by its name and with a reason that docs/flags.md repeats.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { NodeConfiguration } from '../contract/node-configuration.ts'
import { nodeFlags } from '../contract/node-flags.ts'
import { parseNodeArguments } from './flags.ts'

const httpTls = ['-http-cert', 'c', '-http-key', 'k'] as const
const nodeTls = ['-node-cert', 'c', '-node-key', 'k', '-node-ca-cert', 'ca'] as const

type Works = readonly [name: string, value: string, see: (configuration: NodeConfiguration) => unknown, ...beside: readonly string[]]

/** What is seen must differ from what is seen without the flag. `beside`: what the flag needs. */
const works: readonly Works[] = [
  ['http-addr', 'h:1', ({ http }) => http.listen],
  ['http-adv-addr', 'h:1', ({ http }) => http.advertised],
  ['http-allow-origin', 'https://a.test', ({ http }) => http.allowOrigin],
  ['http-cert', 'c', ({ http }) => http.tls?.certFile, '-http-key', 'k'],
  ['http-key', 'k', ({ http }) => http.tls?.keyFile, '-http-cert', 'c'],
  ['http-ca-cert', 'ca', ({ http }) => http.caFile],
  ['http-verify-client', 'true', ({ http }) => http.tls?.verifyClient, ...httpTls, '-http-ca-cert', 'ca'],
  ['http-verify-common-name', 'n', ({ http }) => http.tls?.clientCommonName, ...httpTls, '-http-ca-cert', 'ca', '-http-verify-client'],
  ['auth', 'a.json', ({ accessFile }) => accessFile],
  ['node-cert', 'c', ({ raft }) => raft.tls?.certFile, '-node-key', 'k'],
  ['node-key', 'k', ({ raft }) => raft.tls?.keyFile, '-node-cert', 'c'],
  ['node-ca-cert', 'ca', ({ raft }) => raft.tls?.caFile, '-node-cert', 'c', '-node-key', 'k'],
  ['node-no-verify', 'true', ({ raft }) => raft.tls?.verify, '-node-cert', 'c', '-node-key', 'k'],
  ['node-verify-client', 'true', ({ raft }) => raft.tls?.verifyClient, ...nodeTls],
  ['node-verify-server-name', 'n', ({ raft }) => raft.tls?.serverName, ...nodeTls],
  ['node-verify-common-name', 'n', ({ raft }) => raft.tls?.clientCommonName, ...nodeTls, '-node-verify-client'],
  ['node-id', 'n', ({ nodeId }) => nodeId],
  ['raft-addr', 'h:2', ({ raft }) => raft.listen],
  ['raft-adv-addr', 'h:2', ({ raft }) => raft.advertised],
  ['raft-non-voter', 'true', ({ raft }) => raft.isNonVoter, '-join', 'h:3'],
  ['raft-log-level', 'DEBUG', ({ raft }) => raft.logLevel],
  ['raft-snap', '7', ({ raft }) => raft.compaction.everyEntries],
  ['raft-snap-int', '7s', ({ raft }) => raft.compaction.intervalMs],
  ['raft-leader-lease-timeout', '700ms', ({ raft }) => raft.leaderLeaseMs],
  ['raft-heartbeat-timeout', '700ms', ({ raft }) => raft.heartbeatTimeoutMs],
  ['raft-election-timeout', '7s', ({ raft }) => raft.electionTimeoutMs],
  ['raft-commit-timeout', '7ms', ({ raft }) => raft.commitTimeoutMs],
  ['raft-apply-timeout', '7s', ({ raft }) => raft.applyTimeoutMs],
  ['raft-remove-shutdown', 'true', ({ raft }) => raft.leaving.exitWhenRemoved],
  ['raft-cluster-remove-shutdown', 'true', ({ raft }) => raft.leaving.leaveOnStop],
  ['raft-shutdown-stepdown', 'false', ({ raft }) => raft.leaving.handOverOnStop],
  ['raft-reap-node-timeout', '7h', ({ raft }) => raft.reaping.voterMs],
  ['raft-reap-read-only-node-timeout', '7h', ({ raft }) => raft.reaping.nonVoterMs],
  ['join', 'h:3,i:4', ({ join }) => join.targets],
  ['join-attempts', '7', ({ join }) => join.attempts],
  ['join-interval', '7s', ({ join }) => join.intervalMs],
  ['join-as', 'u', ({ join }) => join.as, '-join', 'h:3', '-auth', 'a.json'],
  ['bootstrap-expect', '3', ({ join }) => join.bootstrapExpect, '-join', 'h:3'],
  ['bootstrap-expect-timeout', '7s', ({ join }) => join.bootstrapExpectTimeoutMs],
  ['disco-mode', 'dns', ({ join }) => join.discovery?.mode, '-bootstrap-expect', '3'],
  ['disco-config', '{"name":"n"}', ({ join }) => join.discovery?.config, '-disco-mode', 'dns', '-bootstrap-expect', '3'],
  ['fk', 'true', ({ database }) => database.foreignKeys],
  ['db-max-ro-conns', '7', ({ database }) => database.readersMax],
  ['auto-optimize-int', '7h', ({ database }) => database.optimizeIntervalMs],
  ['auto-vacuum-int', '7h', ({ database }) => database.vacuumIntervalMs],
  ['auto-check-int', '7h', ({ database }) => database.checkIntervalMs],
  ['write-queue-capacity', '7', ({ writeQueue }) => writeQueue.capacity],
  ['write-queue-batch-size', '7', ({ writeQueue }) => writeQueue.batchSize],
  ['write-queue-timeout', '7ms', ({ writeQueue }) => writeQueue.timeoutMs],
  ['write-queue-tx', 'true', ({ writeQueue }) => writeQueue.transaction],
]

const refused: readonly string[] = [
  'raft-snap-wal-size',
  'compress-snap-transport',
  'cluster-connect-timeout',
  'disco-key',
  'extensions-path',
  'auto-backup',
  'auto-restore',
  'cdc-config',
  'otlp-endpoint',
  'otlp-interval',
  'otlp-insecure',
  'otlp-no-verify',
  'otlp-ca-cert',
  'otlp-cert',
  'otlp-key',
  'cpu-profile',
  'mem-profile',
  'trace-profile',
  // Of older versions.
  'on-disk',
  'on-disk-path',
  'on-disk-startup',
]

/** Not rqlite's, or of older versions and still working (tests of their own in flags.test.ts). */
const others: readonly string[] = ['help', 'version', 'http-no-verify', 'node-encrypt']

function configured(argv: readonly string[]): NodeConfiguration {
  const command = parseNodeArguments([...argv, 'data'])
  assert.ok(command.ok && command.value.kind === 'run', command.ok ? 'it runs' : command.problem.message)
  return command.value.configuration
}

for (const [name, value, see, ...beside] of works) {
  test(`-${name} works`, () => {
    const argument = `-${name}=${value}`
    // A pair of files goes together: without its half there is nothing to compare with but a node without either.
    const without = parseNodeArguments([...beside, 'data'])
    const before = without.ok && without.value.kind === 'run' ? see(without.value.configuration) : undefined
    assert.notDeepEqual(see(configured([...beside, argument])), before)
    assert.equal(nodeFlags.get(name)?.status, 'now')
  })
}

const documented = readFileSync(new URL('../docs/flags.md', import.meta.url), 'utf8')

for (const name of refused) {
  test(`-${name} is refused by name, with a reason`, () => {
    const command = parseNodeArguments([`-${name}=${nodeFlags.get(name)?.kind === 'bool' ? 'true' : '1'}`, 'data'])
    assert.ok(!command.ok, 'it is not accepted')
    assert.ok(command.problem.code === 'flag_not_supported_yet' || command.problem.code === 'flag_gone')
    assert.equal(command.problem.flag, name)
    const flag = nodeFlags.get(name)
    const reason = flag?.status === 'later' ? flag.why : flag?.help
    assert.ok(reason !== undefined && reason.length > 10 && command.problem.message.endsWith(reason), command.problem.message)
    assert.ok(documented.includes(`| \`-${name}\` |`) && documented.includes(reason))
  })
}

test('no flag is forgotten', () => {
  assert.deepEqual([...works.map(([name]) => name), ...refused, ...others].toSorted(), [...nodeFlags.keys()].toSorted())
})
