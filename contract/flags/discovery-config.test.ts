import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discoveryConfigFile, parseDiscovery } from './discovery-config.ts'

const around = { raftPort: 4002, environment: { NAME: 'nodes.test', PORT: '7000', EMPTY: '' } }

for (const [mode, text, settings] of [
  ['dns', '{}', { mode: 'dns', name: 'rqlite', port: 4002 }],
  ['dns', '{"name":"orders-nodes"}', { mode: 'dns', name: 'orders-nodes', port: 4002 }],
  ['dns', '{"name":"$NAME","port":${PORT}}', { mode: 'dns', name: 'nodes.test', port: 7000 }],
  ['dns-srv', '{"name":"x.test.","service":"raft"}', { mode: 'dns-srv', name: 'x.test.', service: 'raft' }],
] as const) {
  test(`${mode} ${text}`, () => {
    const parsed = parseDiscovery(mode, text, around)
    assert.deepEqual(parsed.ok ? parsed.value : parsed.problem, settings)
  })
}

test('RQLITE_DISCO_DNS_HOSTS stands in the place of DNS, if it is a list of addresses and the configuration is one as well', () => {
  const hosts = (text: string, config = '{}') => {
    const parsed = parseDiscovery('dns', config, { raftPort: 4002, environment: { RQLITE_DISCO_DNS_HOSTS: text } })
    return parsed.ok ? parsed.value : parsed.problem
  }
  assert.deepEqual(hosts('a:4002, [::1]:4012'), { mode: 'hosts', addresses: ['a:4002', '[::1]:4012'] })
  assert.deepEqual(hosts(''), { mode: 'dns', name: 'rqlite', port: 4002 })
  for (const text of ['a', 'a:4002,', ':4002', 'http://a:4002'])
    assert.match(JSON.stringify(hosts(text)), /RQLITE_DISCO_DNS_HOSTS must be/, text)
  assert.match(JSON.stringify(hosts('a:4002', '{"nmae":"x"}')), /unknown or missing keys/)
})

for (const [mode, text, problem] of [
  ['dns', '', /is not JSON/],
  ['dns', '{"name":', /is not JSON/],
  ['dns', '[]', /must be/],
  ['dns', '{"nmae":"x"}', /unknown or missing keys/],
  ['dns', '{"name":"x","service":"raft"}', /unknown or missing keys/],
  ['dns', '{"name":""}', /name is missing or not valid/],
  ['dns', '{"name":"a b"}', /name is/],
  ['dns', '{"name":"a..b"}', /name is/],
  ['dns', `{"name":"${'a'.repeat(254)}"}`, /name is/],
  ['dns', '{"port":0}', /port is/],
  ['dns', '{"port":65536}', /port is/],
  ['dns', '{"port":"4002"}', /port is/],
  ['dns', '{"name":"$ABSENT","port":${ALSO}}', /not set: ABSENT, ALSO/],
  ['dns', '{"name":"${__proto__}"}', /not set: __proto__/],
  ['dns', '{"name":"$EMPTY"}', /name is/],
  ['dns-srv', '{}', /service is missing/],
  ['dns-srv', '{"service":"-x"}', /service is/],
  ['dns-srv', '{"service":"raft","port":1}', /unknown or missing keys/],
] as const) {
  test(`${mode} refuses ${text.slice(0, 40)}`, () => {
    const parsed = parseDiscovery(mode, text, around)
    assert.match(parsed.ok ? 'accepted' : parsed.problem, problem)
  })
}

test('what does not begin with a brace is the path of a file', () => {
  assert.equal(discoveryConfigFile({ mode: 'dns', config: ' {"name":"x"}' }), undefined)
  assert.equal(discoveryConfigFile({ mode: 'dns', config: undefined }), undefined)
  assert.equal(discoveryConfigFile({ mode: 'dns', config: 'disco.json' }), 'disco.json')
})
