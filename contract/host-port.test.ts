import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatHostPort, isUnspecified, parseHostPort } from './host-port.ts'

for (const text of ['localhost:4001', ':4004', '[::1]:4001', '10.0.0.1:0', 'orders-0.orders-nodes.shop.svc:65535']) {
  test(`${text} is read and written back unchanged`, () => {
    const parsed = parseHostPort(text)
    assert.ok(parsed.ok)
    assert.equal(formatHostPort(parsed.value), text)
  })
}

for (const text of [
  '',
  'localhost',
  'localhost:',
  'localhost:65536',
  '::1:4001',
  'a b:1',
  'user@host:1',
  'http://x:1',
  'x:1/y',
  'x:-1',
  'x:1:2',
]) {
  test(`${JSON.stringify(text)} is no host:port`, () => {
    assert.equal(parseHostPort(text).ok, false)
  })
}

test('every spelling of "all interfaces" is unspecified, and nothing else', () => {
  for (const host of ['', '0.0.0.0', '::', '0:0:0:0:0:0:0:0']) assert.equal(isUnspecified({ host, port: 1 }), true, host)
  for (const host of ['localhost', '127.0.0.1', '::1', '10.0.0.0']) assert.equal(isUnspecified({ host, port: 1 }), false, host)
})
