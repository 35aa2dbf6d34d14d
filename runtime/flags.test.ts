import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlagProblem } from '../contract/flags/flag-problem.ts'
import { laterFlags } from '../contract/flags/later-flags.ts'
import type { ConfigurationWarning, NodeConfiguration } from '../contract/node-configuration.ts'
import { parseNodeArguments } from './flags.ts'

function run(...argv: string[]): { configuration: NodeConfiguration; warnings: ConfigurationWarning['code'][] } {
  const command = parseNodeArguments(argv)
  assert.ok(command.ok, command.ok ? '' : command.problem.message)
  assert.ok(command.value.kind === 'run')
  return { configuration: command.value.configuration, warnings: command.value.warnings.map(({ code }) => code) }
}

function refused(...argv: string[]): FlagProblem {
  const command = parseNodeArguments(argv)
  assert.ok(!command.ok, `accepted: ${argv.join(' ')}`)
  return command.problem
}

test('without flags a node listens on localhost as rqlite does, under its Raft address as id', () => {
  const { configuration } = run('data')
  assert.deepEqual(configuration.http.listen, { host: 'localhost', port: 4001 })
  assert.equal(configuration.http.advertisedUrl, 'http://localhost:4001')
  assert.deepEqual(configuration.raft.advertised, { host: 'localhost', port: 4002 })
  assert.equal(configuration.nodeId, 'localhost:4002')
  assert.equal(configuration.raft.heartbeatTimeoutMs, 1000)
  assert.equal(configuration.join.attempts, 5)
  assert.equal(configuration.join.intervalMs, 3000)
  assert.equal(configuration.dataDir, 'data')
  assert.ok(Object.isFrozen(configuration) && Object.isFrozen(configuration.http.listen))
})

for (const argv of [
  ['-node-id', 'n1', 'data'],
  ['-node-id=n1', 'data'],
  ['--node-id', 'n1', 'data'],
  ['--node-id=n1', 'data'],
  ['-node-id', 'n0', '-node-id', 'n1', 'data'],
  ['-node-id', 'n1', '--', 'data'],
]) {
  test(`Go's flag syntax: ${argv.join(' ')}`, () => {
    assert.equal(run(...argv).configuration.nodeId, 'n1')
  })
}

test('a boolean takes a value only behind an equals sign', () => {
  assert.equal(run('-http-no-verify', 'data').configuration.http.verifyServers, false)
  assert.equal(run('-http-no-verify=false', 'data').configuration.http.verifyServers, true)
  assert.equal(run('-http-no-verify=T', 'data').configuration.http.verifyServers, false)
  assert.equal(refused('-http-no-verify', 'false', 'data').code, 'arguments_extra')
  assert.equal(refused('-http-no-verify=yes', 'data').code, 'flag_value_invalid')
})

test('exactly one data directory stands behind the flags', () => {
  assert.equal(refused().code, 'data_dir_missing')
  assert.equal(refused('-http-no-verify').code, 'data_dir_missing')
  assert.equal(refused('a', 'b').code, 'arguments_extra')
  assert.equal(refused('data', '-http-no-verify').code, 'arguments_extra')
  assert.equal(refused('').code, 'data_dir_missing')
})

test('an unknown flag is refused with the nearest known name, never with its value', () => {
  const problem = refused('-htp-addr=secret', 'data')
  assert.equal(problem.code, 'flag_unknown')
  assert.match(problem.message, /-http-addr\?/)
  assert.doesNotMatch(problem.message, /secret/)
  assert.match(refused('-completely-else', 'data').message, /see -help/)
})

test('bad syntax is refused as Go refuses it', () => {
  for (const argument of ['---fk', '-=x', '--=x']) assert.equal(refused(argument, 'data').code, 'flag_syntax')
  assert.equal(refused('-node-id').code, 'flag_value_missing')
})

test('every flag whose function comes later is refused by name', () => {
  for (const [name, { kind }] of Object.entries(laterFlags)) {
    const problem = kind === 'bool' ? refused(`-${name}`, 'data') : refused(`-${name}`, '1', 'data')
    assert.equal(problem.code, 'flag_not_supported_yet', name)
    assert.match(problem.message, new RegExp(`^-${name} is not supported yet`))
  }
})

test('the on-disk family of old versions is refused with what replaced it', () => {
  assert.equal(refused('-on-disk', 'data').code, 'flag_gone')
  assert.match(refused('-on-disk-path=/x', 'data').message, /DATA_DIR/)
})

test('help and version need no data directory; what stands before them is still checked', () => {
  for (const word of ['-h', '-help', '--help']) {
    const command = parseNodeArguments([word])
    assert.ok(command.ok && command.value.kind === 'help')
    assert.match(command.value.text, /-http-addr address/)
  }
  const version = parseNodeArguments(['-version'])
  assert.ok(version.ok && version.value.kind === 'version')
  assert.equal(refused('-nonsense-flag', '-help').code, 'flag_unknown')
})

for (const [why, ...argv] of [
  ['http and Raft on one address', '-http-addr', 'localhost:4002'],
  ['http on all interfaces takes the Raft port too', '-http-addr', ':4002'],
  ['a certificate without its key', '-http-cert', 'c'],
  ['a key without its certificate', '-node-key', 'k'],
  ['client certificates without TLS', '-http-verify-client', '-http-ca-cert', 'ca'],
  ['client certificates without a CA', '-http-verify-client', '-http-cert', 'c', '-http-key', 'k'],
  ['node client certificates without a CA', '-node-verify-client', '-node-cert', 'c', '-node-key', 'k'],
  ['verifying and not verifying', '-node-verify-client', '-node-no-verify', '-node-ca-cert', 'ca', '-node-cert', 'c', '-node-key', 'k'],
  ['a server name that is not verified', '-node-verify-server-name', 'x', '-node-no-verify', '-node-cert', 'c', '-node-key', 'k'],
  ['-node-encrypt without certificate', '-node-encrypt'],
  ['-node-no-verify without certificate', '-node-no-verify'],
  ['a CA between nodes without certificate', '-node-ca-cert', 'ca'],
  ['an advertised API address that is no address', '-http-adv-addr', '0.0.0.0:4001'],
  ['an advertised Raft address that is no address', '-raft-adv-addr', '[::]:4002'],
  ['listening on 0.0.0.0 without an advertised address', '-raft-addr', '0.0.0.0:4002'],
  ['joining itself', '-join', 'localhost:4002'],
  ['joining its own API', '-join', 'http://localhost:4001'],
  ['-join-as without access file', '-join-as', 'bob', '-join', 'other:4002'],
  ['-join-as without -join', '-join-as', 'bob', '-auth', 'a.json'],
  ['-join-as beside credentials in the URL', '-join-as', 'bob', '-auth', 'a.json', '-join', 'https://bob:secret1@other:4001'],
  ['-bootstrap-expect 3 that can meet nobody', '-bootstrap-expect', '3'],
  ['-bootstrap-expect through an API', '-bootstrap-expect', '2', '-join', 'https://other:4001'],
  ['an election timeout below the heartbeat timeout', '-raft-heartbeat-timeout', '2s'],
  ['a heartbeat timeout that never ends', '-raft-heartbeat-timeout', '2h', '-raft-election-timeout', '2h'],
  ['a node id with a space', '-node-id', 'a b'],
  ['a read replica that finds no cluster', '-raft-non-voter'],
  ['a read replica that forms a cluster', '-raft-non-voter', '-bootstrap-expect', '1', '-join', 'other:4002'],
  ['-join beside -disco-mode', '-disco-mode', 'dns', '-join', 'other:4002', '-bootstrap-expect', '3'],
  ['a voter that meets others through DNS without knowing how many', '-disco-mode', 'dns'],
  ['-disco-config without -disco-mode', '-disco-config', '{}'],
  ['compacting at every entry', '-raft-snap', '0'],
  ['looking all the time', '-raft-snap-int', '1ms'],
  ['reaping at the speed of elections', '-raft-reap-node-timeout', '9s'],
  ['reaping read replicas at the speed of elections', '-raft-reap-read-only-node-timeout', '9s'],
] as const) {
  test(`refused before any file is touched: ${why}`, () => {
    assert.equal(refused(...argv, 'data').code, 'flags_conflict')
  })
}

for (const [name, value] of [
  ['http-addr', 'localhost'],
  ['http-addr', ''],
  ['join', 'localhost'],
  ['join', 'a:1,,b:2'],
  ['join', ':4002'],
  ['join', 'https://x:1/path'],
  ['raft-heartbeat-timeout', '5'],
  ['join-interval', '-1s'],
  ['bootstrap-expect', '-3'],
  ['bootstrap-expect', '3.5'],
  ['raft-log-level', 'LOUD'],
] as const) {
  test(`-${name} refuses the value ${JSON.stringify(value)}`, () => {
    const problem = refused(`-${name}=${value}`, 'data')
    assert.equal(problem.code, 'flag_value_invalid')
    assert.equal(problem.flag, name)
  })
}

test('a password in the URL of -join is taken, with a loud warning; it never shows in an error', () => {
  const { configuration, warnings } = run('-join', 'https://bob:s%3Acret@localhost:4011', 'data')
  assert.deepEqual(configuration.join.targets, [
    { kind: 'api', url: 'https://localhost:4011', credentials: { username: 'bob', password: 's:cret' } },
  ])
  assert.ok(warnings.includes('password_in_arguments'))
  for (const value of [
    'https://bob:s3cret@local host:1',
    'https://bob:s3cret@h:1/x',
    'https://:s3cret@h:1',
    'bob:s3cret@h:1',
    'https://b:s3cret%zz@h:1',
  ]) {
    assert.doesNotMatch(refused('-join', value, 'data').message, /s3cret/)
  }
})

test('no warning repeats the password', () => {
  const command = parseNodeArguments(['-join', 'https://bob:s3cret@localhost:4011', 'data'])
  assert.ok(command.ok && command.value.kind === 'run')
  assert.doesNotMatch(JSON.stringify(command.value.warnings), /s3cret/)
})

test('a fully secured node starts without any warning', () => {
  const { warnings, configuration } = run(
    '-auth',
    'a.json',
    '-http-cert',
    'c',
    '-http-key',
    'k',
    '-http-ca-cert',
    'ca',
    '-http-verify-client',
    '-node-cert',
    'nc',
    '-node-key',
    'nk',
    '-node-ca-cert',
    'nca',
    '-node-verify-client',
    '-raft-addr',
    '10.0.0.1:4002',
    'data',
  )
  assert.deepEqual(warnings, [])
  assert.equal(configuration.http.advertisedUrl, 'https://localhost:4001')
  assert.deepEqual(configuration.raft.tls, {
    certFile: 'nc',
    keyFile: 'nk',
    caFile: 'nca',
    verify: true,
    verifyClient: true,
    serverName: undefined,
    clientCommonName: undefined,
  })
})

test('a node without TLS and users starts with a warning for each', () => {
  assert.deepEqual(run('data').warnings, ['api_without_tls', 'access_for_everybody', 'raft_without_tls'])
  assert.deepEqual(run('-auth', 'a.json', 'data').warnings, ['passwords_without_tls', 'raft_without_tls'])
})

test('-raft-addr :4004, as the security documents print it, is known on its own machine and says so', () => {
  const { configuration, warnings } = run('-raft-addr', ':4004', 'data')
  assert.equal(configuration.nodeId, 'localhost:4004')
  assert.equal(configuration.raft.listen.host, '')
  assert.ok(warnings.includes('advertised_on_localhost'))
})

test('-node-encrypt with a certificate works as it did, with a note', () => {
  const { configuration, warnings } = run('-node-encrypt', '-node-cert', 'c', '-node-key', 'k', '-node-no-verify', 'data')
  assert.equal(configuration.raft.tls?.verify, false)
  assert.ok(warnings.includes('node_encrypt_is_old') && warnings.includes('raft_without_verification'))
})

test('-raft-log-level takes the words of rqlite', () => {
  assert.equal(run('-raft-log-level', 'DEBUG', 'data').configuration.raft.logLevel, 'debug')
  assert.equal(run('-raft-log-level', 'off', 'data').configuration.raft.logLevel, 'silent')
})

test('what a node does about members that go, and about its own log, is rqlite’s by default', () => {
  const { raft, join } = run('data').configuration
  assert.deepEqual(raft.leaving, { exitWhenRemoved: false, leaveOnStop: false, handOverOnStop: true })
  assert.deepEqual(raft.reaping, { voterMs: undefined, nonVoterMs: undefined })
  assert.deepEqual(raft.compaction, { everyEntries: 8192, intervalMs: 10_000 })
  assert.deepEqual([raft.isNonVoter, join.discovery], [false, undefined])
  const said = run(
    '-raft-remove-shutdown',
    '-raft-cluster-remove-shutdown',
    '-raft-shutdown-stepdown=false',
    '-raft-reap-node-timeout=1h',
    'data',
  )
  assert.deepEqual(said.configuration.raft.leaving, { exitWhenRemoved: true, leaveOnStop: true, handOverOnStop: false })
  assert.equal(said.configuration.raft.reaping.voterMs, 3_600_000)
  assert.equal(run('-raft-non-voter', '-join', 'other:4002', 'data').configuration.raft.isNonVoter, true)
})

test('-disco-mode takes dns and dns-srv; other words are refused by name', () => {
  const { join } = run('-disco-mode', 'dns-srv', '-disco-config', '{"service":"raft"}', '-bootstrap-expect', '3', 'data').configuration
  assert.deepEqual(join.discovery, { mode: 'dns-srv', config: '{"service":"raft"}' })
  assert.deepEqual(run('-disco-mode', 'dns', '-raft-non-voter', 'data').configuration.join.discovery, { mode: 'dns', config: undefined })
  for (const [word, message] of [
    ['consul-kv', /consul-kv is not supported yet/],
    ['DNS', /neither dns nor dns-srv/],
  ] as const) {
    const problem = refused('-disco-mode', word, 'data')
    assert.equal(problem.code, 'flag_value_invalid')
    assert.match(problem.message, message)
  }
})
