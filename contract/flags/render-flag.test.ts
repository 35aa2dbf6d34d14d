import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNodeArguments } from '../../runtime/flags.ts'
import { renderFlag } from './render-flag.ts'

test('rendered flags are read back as the values they were made from', () => {
  const command = parseNodeArguments([
    renderFlag('http-addr', '0.0.0.0:4001'),
    renderFlag('http-adv-addr', 'orders-0.orders:4001'),
    renderFlag('raft-adv-addr', 'orders-0.orders:4002'),
    renderFlag('join', ['orders-0.orders:4002', 'orders-1.orders:4002']),
    renderFlag('bootstrap-expect', 2),
    renderFlag('raft-heartbeat-timeout', 1500),
    renderFlag('raft-election-timeout', 60_000),
    renderFlag('http-no-verify', true),
    '/data',
  ])
  assert.ok(command.ok && command.value.kind === 'run')
  const { configuration } = command.value
  assert.deepEqual(configuration.http.listen, { host: '0.0.0.0', port: 4001 })
  assert.equal(configuration.join.targets.length, 2)
  assert.equal(configuration.raft.heartbeatTimeoutMs, 1500)
  assert.equal(configuration.raft.electionTimeoutMs, 60_000)
  assert.equal(configuration.http.verifyServers, false)
})

test('a value with a line break is never rendered', () => {
  assert.throws(() => renderFlag('node-id', 'a\nb'))
})
