import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import type { KeyPair } from '../credentials/credentials.ts'
import { HttpsMembers } from './https-members.ts'

const host = 'orders-0.orders-nodes.shop.svc'
const address = { name: 'orders-0', url: `https://${host}:4001` }
const status = {
  build: { version: '0.1.0' },
  store: {
    node_id: 'orders-0',
    ready: true,
    leader: { node_id: 'orders-1', addr: 'x:4002' },
    nodes: [
      { id: 'orders-0', addr: 'x:4002', suffrage: 'voter' },
      { id: 'orders-1', addr: 'y:4002', suffrage: 'nonvoter' },
    ],
    raft: { state: 'Follower', term: 7, commit_index: 12, applied_index: 11 },
    dir: 'unknown to us',
  },
  http: {},
}

const issuing = new OwnCredentials()
let ca: KeyPair
let server: Server
let answer: { status: number; body: string; ready: number; silent: boolean }
let authorization: string | undefined

before(async () => {
  ca = await issuing.issueCa({ authority: 'client', clusterName: 'orders', nowMs: Date.now() })
  server = await serve(ca, ['*.orders-nodes.shop.svc'])
})
after(async () => {
  server.close()
  await issuing.close()
})

async function serve(signer: KeyPair, dnsNames: readonly string[]): Promise<Server> {
  const leaf = await issuing.issueLeaf({
    authority: 'client',
    commonName: 'orders',
    dnsNames,
    ipAddresses: [],
    ca: signer,
    nowMs: Date.now(),
  })
  const listening = createServer({ cert: leaf.certificatePem, key: leaf.keyPem }, (request, response) => {
    authorization = request.headers.authorization
    if (answer.silent) return
    response.writeHead(request.url === '/readyz' ? answer.ready : answer.status)
    response.end(request.url === '/readyz' ? '' : answer.body)
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  return listening
}

function ask(at: Server, options: { deadlineMs?: number; caPem?: string } = {}) {
  const { port } = at.address() as AddressInfo
  const members = new HttpsMembers({ deadlineMs: options.deadlineMs ?? 120_000, locate: async () => ({ host: '127.0.0.1', port }) })
  return members.report(address, { username: 'securesql-operator', password: 'pa:ss', caPem: options.caPem ?? ca.certificatePem })
}

test('a member is asked with the operator’s credentials, and its answer becomes a report', async () => {
  answer = { status: 200, body: JSON.stringify(status), ready: 200, silent: false }
  assert.deepEqual(await ask(server), {
    ok: true,
    value: {
      name: 'orders-0',
      ready: true,
      role: 'follower',
      term: 7,
      commitIndex: 12,
      appliedIndex: 11,
      leader: 'orders-1',
      members: [
        { id: 'orders-0', voter: true },
        { id: 'orders-1', voter: false },
      ],
      version: '0.1.0',
    },
  })
  assert.equal(authorization, `Basic ${Buffer.from('securesql-operator:pa:ss').toString('base64')}`)
})

test('a member that is not ready yet is reported as it is', async () => {
  answer = {
    status: 200,
    body: JSON.stringify({ ...status, store: { ...status.store, leader: { node_id: '', addr: '' } } }),
    ready: 503,
    silent: false,
  }
  const report = await ask(server)
  assert.deepEqual(report.ok && [report.value.ready, report.value.leader], [false, undefined])
})

test('a certificate of another CA is not trusted, and gets no password', async () => {
  answer = { status: 200, body: JSON.stringify(status), ready: 200, silent: false }
  const other = await issuing.issueCa({ authority: 'client', clusterName: 'orders', nowMs: Date.now() })
  const impostor = await serve(other, ['*.orders-nodes.shop.svc'])
  authorization = undefined
  const report = await ask(impostor)
  assert.equal(!report.ok && report.problem.code, 'member_untrusted')
  assert.equal(authorization, undefined)
  impostor.close()
})

test('a certificate of the right CA for another name is not trusted, wherever the connection went', async () => {
  const neighbour = await serve(ca, ['*.billing-nodes.shop.svc'])
  authorization = undefined
  const report = await ask(neighbour)
  assert.equal(!report.ok && report.problem.code, 'member_untrusted')
  assert.equal(authorization, undefined)
  neighbour.close()
})

test('a member that never answers is unreachable after the deadline', async () => {
  answer = { status: 200, body: '', ready: 200, silent: true }
  const report = await ask(server, { deadlineMs: 200 })
  assert.equal(!report.ok && report.problem.code, 'member_unreachable')
  server.closeAllConnections()
})

test('refusals and answers that make no sense are told apart, without quoting what was sent', async () => {
  answer = { status: 401, body: '', ready: 401, silent: false }
  const refused = await ask(server)
  assert.deepEqual(!refused.ok && refused.problem, { code: 'member_refused', message: '/status answered 401' })
  answer = { status: 200, body: '{"store":{"open":false}}', ready: 503, silent: false }
  const unreadable = await ask(server)
  assert.equal(!unreadable.ok && unreadable.problem.code, 'member_unreadable')
  answer = { status: 200, body: 'x'.repeat(2_000_000), ready: 503, silent: false }
  const endless = await ask(server)
  assert.equal(!endless.ok && endless.problem.code, 'member_unreachable')
})

test('nobody listening is unreachable', async () => {
  const members = new HttpsMembers({ locate: async () => ({ host: '127.0.0.1', port: 1 }) })
  const report = await members.report(address, { username: 'u', password: 'p', caPem: ca.certificatePem })
  assert.equal(!report.ok && report.problem.code, 'member_unreachable')
})
