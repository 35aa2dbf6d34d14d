// The calling side: whom it believes.
import assert from 'node:assert/strict'
import { createServer as createTcpServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Member, NodeId } from '../raft/membership.ts'
import { frameHeader, frameTypes } from './frame.ts'
import { encodeWelcome, noLife, noProof, protocol } from './hello.ts'
import type { LocalNode } from './local-node.ts'
import { makeDial, type DialProblem } from './peer-dialer.ts'
import { applicationProtocol, type PeerTlsRules } from './peer-tls.ts'
import { makeTestCa, makeTestLeaf, makeTestSelfSigned, type TestKeyPair } from './test-certificates.ts'
import {
  memberOf,
  mutualTls,
  startTestNode,
  testMaterial,
  testNodeCa,
  testNodeLeaf,
  TestTlsSource,
  unite,
  type TestNode,
} from './test-peers.ts'

interface Caller {
  readonly pair?: TestKeyPair
  readonly ca?: string | undefined
  readonly rules?: Partial<PeerTlsRules>
  readonly incarnation: string
  readonly nodeId?: string
  readonly clusterId?: string
}

function dialAs(caller: Caller, member: Member, address = member.raftAddress): ReturnType<ReturnType<typeof makeDial>> {
  const material = testMaterial(caller.pair ?? testNodeLeaf, 'ca' in caller ? caller.ca : testNodeCa.certificate)
  const local: LocalNode = {
    nodeId: (caller.nodeId ?? 'b') as NodeId,
    incarnation: caller.incarnation,
    version: '1',
    tls: { rules: { ...mutualTls, ...caller.rules }, material: () => material },
    clusterId: () => caller.clusterId ?? 'test-cluster',
    life: () => noLife,
    member: () => member,
    removed: () => [],
  }
  return makeDial(local)({ address, purpose: 'raft', member, timeoutMs: 120_000 })
}

async function problemOf(dialled: ReturnType<typeof dialAs>): Promise<DialProblem['code'] | 'ok'> {
  const answered = await dialled
  if (answered.ok) answered.value.framed.close('test')
  return answered.ok ? 'ok' : answered.problem.code
}

async function members(
  t: TestContext,
  pair: TestKeyPair,
  ca: string | undefined,
  verifyClient = true,
): Promise<{ a: TestNode; incarnation: string }> {
  const tls = { files: new TestTlsSource(testMaterial(pair, ca)), rules: { ...mutualTls, verifyClient } }
  const a = await startTestNode(t, 'a', { tls })
  const b = await startTestNode(t, 'b')
  unite([a, b])
  await b.close()
  return { a, incarnation: b.identity.incarnation }
}

test('the name that was dialled must stand in the certificate, or the one that -node-verify-server-name says', async (t) => {
  const { a, incarnation } = await members(t, makeTestLeaf(testNodeCa, { names: ['orders-node'] }), testNodeCa.certificate)
  assert.equal(await problemOf(dialAs({ incarnation }, memberOf(a))), 'certificate_refused')
  assert.equal(await problemOf(dialAs({ incarnation, rules: { verifyServerName: 'orders-node' } }, memberOf(a))), 'ok')
  assert.equal(await problemOf(dialAs({ incarnation, rules: { verifyServerName: 'another' } }, memberOf(a))), 'certificate_refused')
})

test('one who shows a certificate of another CA, or for clients only, is not believed', async (t) => {
  const other = makeTestCa('other')
  const cases: readonly [TestKeyPair, string][] = [
    [makeTestLeaf(other), other.certificate],
    [makeTestLeaf(testNodeCa, { usages: ['client'] }), testNodeCa.certificate],
    [makeTestLeaf(testNodeCa, { lifetimeMs: 1000 }), testNodeCa.certificate],
  ]
  for (const [pair, ca] of cases) {
    const { a, incarnation } = await members(t, pair, ca, false)
    assert.equal(await problemOf(dialAs({ incarnation }, memberOf(a))), 'certificate_refused')
  }
})

test("without -node-ca-cert a private CA is not believed: the system's roots decide", async (t) => {
  const { a, incarnation } = await members(t, testNodeLeaf, testNodeCa.certificate, false)
  assert.equal(await problemOf(dialAs({ incarnation, ca: undefined }, memberOf(a))), 'certificate_refused')
})

test('a self-signed certificate that all nodes share is believed whatever its name; another self-signed one is not', async (t) => {
  const shared = makeTestSelfSigned('whatever')
  const { a, incarnation } = await members(t, shared, undefined)
  assert.equal(await problemOf(dialAs({ incarnation, pair: shared, ca: undefined }, memberOf(a))), 'ok')
  assert.equal(
    await problemOf(dialAs({ incarnation, pair: makeTestSelfSigned('whatever'), ca: undefined }, memberOf(a))),
    'certificate_refused',
  )
})

test('with -node-no-verify any certificate is taken, and still only the member that was called', async (t) => {
  const { a, incarnation } = await members(t, makeTestSelfSigned('x'), undefined, false)
  const rules = { noVerify: true }
  assert.equal(await problemOf(dialAs({ incarnation, rules }, memberOf(a))), 'ok')
  // The one who answers does not know the incarnation of the member that is called.
  assert.equal(await problemOf(dialAs({ incarnation, rules }, { ...memberOf(a), incarnation: 'f'.repeat(32) })), 'identity_mismatch')
  assert.equal(await problemOf(dialAs({ incarnation, rules }, { ...memberOf(a), id: 'c' as NodeId })), 'refused')
})

test('one who sits in between with -node-no-verify cannot pass the hello on: the proof is bound to its own channel', async (t) => {
  const { a, incarnation } = await members(t, makeTestSelfSigned('x'), undefined, false)
  const middle = makeTestSelfSigned('middle')
  const upstream: TLSSocket[] = []
  const server = createTlsServer(
    { cert: middle.certificate, key: middle.key, ALPNProtocols: [applicationProtocol], minVersion: 'TLSv1.3' },
    (victim) => {
      const onward = connect({ ...a.peers.address, rejectUnauthorized: false, ALPNProtocols: [applicationProtocol] })
      upstream.push(onward)
      victim
        .on('error', () => {})
        .pipe(onward)
        .on('error', () => {})
        .pipe(victim)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (upstream.forEach((socket) => socket.destroy()), server.close()))
  const bound = server.address()
  const address = `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
  const answered = await dialAs({ incarnation, rules: { noVerify: true } }, memberOf(a), address)
  assert.equal(!answered.ok && answered.problem.refusal, 'wrong_incarnation')
})

test('one who only pretends to be the member, with a right certificate, is not believed', async (t) => {
  const body = encodeWelcome({ protocol: protocol.max, clusterId: 'test-cluster', nodeId: 'a' as NodeId, version: '1', proof: noProof })
  const options = { cert: testNodeLeaf.certificate, key: testNodeLeaf.key, ALPNProtocols: [applicationProtocol] }
  const server = createTlsServer(options, (socket) => {
    socket
      .on('error', () => {})
      .resume()
      .write(Buffer.concat([frameHeader(frameTypes.welcome, body.length), body]))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const bound = server.address()
  const raftAddress = `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
  const member: Member = { id: 'a' as NodeId, incarnation: 'secret', raftAddress, apiUrl: 'https://a', suffrage: 'voter' }
  assert.equal(await problemOf(dialAs({ incarnation: 'x' }, member)), 'identity_mismatch')
})

test('something else at the address, nothing at all, or an address that is none, each has its code', async (t) => {
  const web = createTcpServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  )
  const mute = createTcpServer((socket) => socket.on('error', () => {}).resume())
  for (const server of [web, mute]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
  }
  const addressOf = (server: typeof web): string => {
    const bound = server.address()
    return `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
  }
  const member: Member = { id: 'a' as NodeId, incarnation: 'x', raftAddress: addressOf(web), apiUrl: 'https://a', suffrage: 'voter' }
  assert.equal(await problemOf(dialAs({ incarnation: 'x' }, member)), 'tls_refused')
  const dial = makeDial({
    nodeId: 'b' as NodeId,
    incarnation: 'x',
    version: '1',
    tls: undefined,
    clusterId: () => 'c',
    life: () => noLife,
    member: () => member,
    removed: () => [],
  })
  const call = { purpose: 'raft', member, timeoutMs: 120_000 } as const
  assert.equal(await problemOf(dial({ ...call, address: addressOf(web) })), 'not_a_node')
  assert.equal(await problemOf(dial({ ...call, address: addressOf(mute), timeoutMs: 300 })), 'deadline')
  assert.equal(await problemOf(dial({ ...call, address: 'nonsense' })), 'address_malformed')
  const gone = addressOf(mute)
  await new Promise((resolve) => mute.close(resolve))
  assert.equal(await problemOf(dial({ ...call, address: gone })), 'unreachable')
})

test('a refusal of the other side arrives with its code', async (t) => {
  const { a } = await members(t, testNodeLeaf, testNodeCa.certificate)
  const answered = await dialAs({ incarnation: 'guessed' }, memberOf(a))
  assert.equal(!answered.ok && answered.problem.refusal, 'wrong_incarnation')
})

test('one whose certificate the other side does not trust hears that TLS failed, not that it is connected', async (t) => {
  const { a, incarnation } = await members(t, testNodeLeaf, testNodeCa.certificate)
  const pair = makeTestLeaf(makeTestCa('stranger'))
  assert.equal(await problemOf(dialAs({ incarnation, pair, ca: testNodeCa.certificate }, memberOf(a))), 'tls_refused')
})
