import assert from 'node:assert/strict'
import { test } from 'node:test'
import { environmentOf, expand, replacePaths } from './command-line.ts'

test('variables are expanded as Kubernetes does it: unknown ones stay, $$( ) is escaped', () => {
  const values = { POD_NAME: 'orders-0', EMPTY: '' }
  assert.equal(expand('$(POD_NAME).orders-nodes', values), 'orders-0.orders-nodes')
  assert.equal(expand('$(POD_NAME)$(POD_NAME)$(EMPTY)', values), 'orders-0orders-0')
  assert.equal(expand('$(UNKNOWN) $POD_NAME ${POD_NAME}', values), '$(UNKNOWN) $POD_NAME ${POD_NAME}')
  assert.equal(expand('$$(POD_NAME)', values), '$(POD_NAME)')
})

test('a variable may use those before it, and fields of the pod', () => {
  const env = [
    { name: 'POD_NAME', field: 'metadata.name' },
    { name: 'ADDRESS', value: '$(POD_NAME).nodes' },
    { name: 'TOO_EARLY', value: '$(LATER)' },
    { name: 'LATER', value: 'x' },
  ]
  const expected = { POD_NAME: 'orders-0', ADDRESS: 'orders-0.nodes', TOO_EARLY: '$(LATER)', LATER: 'x' }
  assert.deepEqual(environmentOf(env, { 'metadata.name': 'orders-0' }), expected)
})

test('mounted paths become folders where a path begins, the longest first, and nothing is replaced twice', () => {
  const folders = new Map([
    ['/tmp', '/tmp/run/scratch'],
    ['/etc/securesql', '/run/all'],
    ['/etc/securesql/http', '/run/http'],
  ])
  const local = (text: string): string => replacePaths(text, folders)
  assert.equal(local('/tmp/a'), '/tmp/run/scratch/a')
  assert.equal(local('-http-cert=/etc/securesql/http/tls.crt'), '-http-cert=/run/http/tls.crt')
  assert.equal(local('-auth=/etc/securesql/access/access.json'), '-auth=/run/all/access/access.json')
  assert.equal(local('/etc/securesql/https'), '/run/all/https')
  assert.equal(local('/tmpfile /var/tmp/x'), '/tmpfile /var/tmp/x')
})
