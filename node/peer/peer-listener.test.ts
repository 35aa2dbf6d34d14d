// The Raft port under attack, over real sockets. In TLS 1.3 a client believes to be connected before the server has judged its certificate, so every attack waits for what
// the server does: bytes, or the end.
import assert from 'node:assert/strict'
import { connect as connectTcp, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { connect as connectTls, TLSSocket, type ConnectionOptions } from 'node:tls'
import { eventually } from '../replica/eventually.ts'
import { frameHeader, frameTypes } from './frame.ts'
import { encodeHello, protocol, prove, type Hello, type Purpose } from './hello.ts'
import { connectionsMax, strangersPerAddressMax } from './peer-listener.ts'
import type { Clock } from '../replica/clock.ts'
import { systemClock } from '../replica/system-clock.ts'
import { applicationProtocol, channelOf, handshakeMsMax } from './peer-tls.ts'
import { makeTestCa, makeTestLeaf, makeTestSelfSigned, type TestKeyPair } from './test-certificates.ts'
import {
  MemoryIdentity,
  memberOf,
  mutualTls,
  startTestNode,
  testHello,
  testNodeCa,
  testNodeLeaf,
  TestTlsSource,
  unite,
  type TestNode,
} from './test-peers.ts'
import type { NodeId } from '../raft/membership.ts'

const clientCa = makeTestCa('client CA')

interface Outcome {
  readonly heard: Buffer
  /** The code of the error, or `closed`. */
  readonly end: string
}

/** What the server did with the caller, in the end. */
function outcome(t: TestContext, socket: Socket): Promise<Outcome> {
  t.after(() => socket.destroy())
  const heard: Buffer[] = []
  return new Promise((resolve) => {
    let code = 'closed'
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message
    })
    socket.on('close', () => resolve({ heard: Buffer.concat(heard), end: code }))
  })
}

function call(node: TestNode, pair: TestKeyPair | undefined, more: ConnectionOptions = {}): TLSSocket {
  const identity = pair === undefined ? {} : { cert: pair.certificate, key: pair.key }
  const { host, port } = node.peers.address
  const options = { host, port, ca: testNodeCa.certificate, ALPNProtocols: [applicationProtocol], ...identity, ...more }
  const socket = connectTls(options)
  socket.on('error', () => {})
  return socket
}

/** Two members of one cluster; the tests attack `a`, sometimes as `b`. */
async function twoMembers(t: TestContext): Promise<{ a: TestNode; b: TestNode; heardFrom: NodeId[] }> {
  const [a, b] = [await startTestNode(t, 'a'), await startTestNode(t, 'b')]
  const heardFrom: NodeId[] = []
  unite([a, b])
  a.peers.transport.listen({ message: (from) => heardFrom.push(from), unreachable: () => {}, removed: () => {}, rolledBack: () => {} })
  // Only the test speaks as b.
  await b.close()
  return { a, b, heardFrom }
}

function hello(
  socket: TLSSocket,
  as: { nodeId: string; incarnation: string; to: string; clusterId?: string; purpose?: Purpose; min?: number },
): Hello {
  const { nodeId, incarnation, to, clusterId = 'test-cluster', purpose = 'raft', min = protocol.min } = as
  const said = testHello({
    protocolMin: min,
    protocolMax: Math.max(min, protocol.max),
    purpose,
    clusterId,
    nodeId: nodeId as NodeId,
    targetNodeId: to,
  })
  return { ...said, proof: prove(incarnation, { says: 'hello', hello: said, channel: channelOf(socket) }) }
}

function framed(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(type, body.length), body])
}

/** A message of the raft purpose that a would act upon. */
const timeoutNow = framed(frameTypes.message, Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 7]))

function refusals(node: TestNode): readonly string[] {
  return node.events.flatMap((event) => (event.kind === 'refused-incoming' ? [event.code] : []))
}

async function says(socket: TLSSocket, make: (socket: TLSSocket) => Uint8Array): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.once('secureConnect', () => {
      socket.write(make(socket))
      resolve()
    })
    socket.once('close', () => resolve())
  })
}

const strangers: readonly [string, TestKeyPair | undefined, string][] = [
  ['no certificate', undefined, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'],
  ['a certificate of a CA that nobody knows', makeTestLeaf(makeTestCa('stranger')), ''],
  ['a certificate of the CA of clients', makeTestLeaf(clientCa), ''],
  ['a self-signed certificate', makeTestSelfSigned('node'), ''],
  ['an expired certificate of the node CA', makeTestLeaf(testNodeCa, { lifetimeMs: 60_000 }), ''],
  ['a certificate of the node CA for servers only', makeTestLeaf(testNodeCa, { usages: ['server'] }), ''],
]

for (const [name, pair, code] of strangers) {
  test(`${name} does not open the Raft port, even with the right words of a member`, async (t) => {
    const { a, b, heardFrom } = await twoMembers(t)
    const socket = call(a, pair)
    const ended = outcome(t, socket)
    const asB = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }
    await says(socket, (open) => Buffer.concat([framed(frameTypes.hello, encodeHello(hello(open, asB))), timeoutNow]))
    assert.equal((await ended).heard.length, 0)
    await eventually(() => refusals(a).includes('tls_refused'), 'the refusal is reported')
    assert(a.events.some((event) => event.kind === 'refused-incoming' && (event.detail ?? '').includes(code)))
    assert.deepEqual(heardFrom, [])
  })
}

test('a node certificate and the words of a member open it (the attacks above fail for the right reason)', async (t) => {
  const { a, b, heardFrom } = await twoMembers(t)
  const socket = call(a, testNodeLeaf)
  void outcome(t, socket)
  const asB = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }
  await says(socket, (open) => Buffer.concat([framed(frameTypes.hello, encodeHello(hello(open, asB))), timeoutNow]))
  await eventually(() => heardFrom.length > 0, 'the message arrives')
  assert.deepEqual(heardFrom, ['b'])
})

const impostors: readonly [string, string, Partial<Parameters<typeof hello>[1]>][] = [
  ['an unknown node id', 'unknown_member', { nodeId: 'mallory' }],
  ['a wrong incarnation', 'wrong_incarnation', { incarnation: 'f'.repeat(32) }],
  ['another cluster', 'wrong_cluster', { clusterId: 'another' }],
  ['no cluster', 'wrong_cluster', { clusterId: '' }],
  ['a call for another node', 'wrong_target', { to: 'c' }],
  ['a call for nobody', 'wrong_target', { to: '' }],
  ['the id of the node that it calls', 'calls_itself', { nodeId: 'a' }],
  ['a protocol of the future', 'protocol_unsupported', { min: protocol.max + 1 }],
]

for (const purpose of ['raft', 'forward', 'vouch'] as const) {
  for (const [name, code, changes] of impostors) {
    test(`a right certificate with ${name} is refused as ${code} for ${purpose}`, async (t) => {
      const { a, b, heardFrom } = await twoMembers(t)
      const socket = call(a, testNodeLeaf)
      const ended = outcome(t, socket)
      const said = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a', purpose, ...changes }
      await says(socket, (open) => framed(frameTypes.hello, encodeHello(hello(open, said))))
      socket.on('data', () => socket.write(timeoutNow))
      assert.equal((await ended).heard[4], frameTypes.refusal)
      assert.deepEqual(refusals(a), [code])
      assert.deepEqual(heardFrom, [])
    })
  }
}

test('a proof that was overheard on one connection is worth nothing on another', async (t) => {
  const { a, b } = await twoMembers(t)
  const first = call(a, testNodeLeaf)
  void outcome(t, first)
  let overheard: Buffer = Buffer.alloc(0)
  const asB = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }
  await says(first, (open) => (overheard = framed(frameTypes.hello, encodeHello(hello(open, asB)))))
  await eventually(() => a.events.some((event) => event.kind === 'connected'), 'the first is let in')
  const second = call(a, testNodeLeaf)
  const ended = outcome(t, second)
  await says(second, () => overheard)
  await ended
  assert.deepEqual(refusals(a), ['wrong_incarnation'])
})

test('a node that belongs to no cluster speaks to no member', async (t) => {
  const node = await startTestNode(t, 'a')
  const socket = call(node, testNodeLeaf)
  const ended = outcome(t, socket)
  await says(socket, (open) =>
    framed(frameTypes.hello, encodeHello(hello(open, { nodeId: 'b', incarnation: 'x', to: 'a', clusterId: '' }))),
  )
  await ended
  assert.deepEqual(refusals(node), ['not_in_a_cluster'])
})

const garbage: readonly [string, Uint8Array][] = [
  ['a length of 4 GiB', Buffer.from([0xff, 0xff, 0xff, 0xff, 1])],
  ['a length of zero', Buffer.from([0, 0, 0, 0, 1])],
  ['a hello of 5000 bytes', framed(frameTypes.hello, Buffer.alloc(5000))],
  ['a hello that is not ours', framed(frameTypes.hello, Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
  ['a message before the hello', timeoutNow],
  ['random bytes', Buffer.from('8f1e4bd07c5a9923'.repeat(64), 'hex')],
  ['HTTP inside TLS', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
]

for (const [name, bytes] of garbage) {
  test(`${name} ends the connection without an answer`, async (t) => {
    const { a, heardFrom } = await twoMembers(t)
    const socket = call(a, testNodeLeaf)
    const ended = outcome(t, socket)
    await says(socket, () => bytes)
    assert.equal((await ended).heard.length, 0)
    assert.deepEqual(heardFrom, [])
  })
}

test('plain HTTP and plain frames to the TLS port get nothing, and the port lives on', async (t) => {
  const { a, b, heardFrom } = await twoMembers(t)
  for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', timeoutNow]) {
    const { host, port } = a.peers.address
    const socket = connectTcp({ host, port })
    const ended = outcome(t, socket)
    socket.write(bytes)
    // An alert of TLS at most: 7 bytes.
    assert((await ended).heard.length <= 7)
  }
  const socket = call(a, testNodeLeaf)
  void outcome(t, socket)
  await says(socket, (open) =>
    Buffer.concat([
      framed(frameTypes.hello, encodeHello(hello(open, { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }))),
      timeoutNow,
    ]),
  )
  await eventually(() => heardFrom.length === 1, 'a member is still heard')
})

test('TLS below 1.3 is refused', async (t) => {
  const { a } = await twoMembers(t)
  const ended = await outcome(t, call(a, testNodeLeaf, { maxVersion: 'TLSv1.2' }))
  assert.match(ended.end, /PROTOCOL_VERSION|UNSUPPORTED/)
})

test('a caller with another application protocol, or none, is refused even with the words of a member', async (t) => {
  const { a, b } = await twoMembers(t)
  for (const ALPNProtocols of [['http/1.1'], ['h2'], []]) {
    const socket = call(a, testNodeLeaf, { ALPNProtocols })
    const ended = outcome(t, socket)
    const asB = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }
    await says(socket, (open) => framed(frameTypes.hello, encodeHello(hello(open, asB))))
    assert.equal((await ended).heard.length, 0)
  }
})

test('a session is never resumed, so its certificate is never skipped', async (t) => {
  const { a, b } = await twoMembers(t)
  const sessions: Buffer[] = []
  const first = call(a, testNodeLeaf)
  first.on('session', (session) => sessions.push(session))
  const ended = outcome(t, first)
  await says(first, (open) =>
    framed(frameTypes.hello, encodeHello(hello(open, { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }))),
  )
  await eventually(() => a.events.some((event) => event.kind === 'connected'), 'the first is let in')
  sessions.push(...[first.getSession()].filter((session) => session !== undefined))
  first.end()
  await ended
  for (const session of sessions) {
    // The second shows no certificate: were the session resumed, it would need none.
    const second = call(a, undefined, { session })
    const end = outcome(t, second)
    await says(second, () => timeoutNow)
    assert.equal(second.isSessionReused(), false)
    assert.equal((await end).heard.length, 0)
  }
})

test('one who never says hello is cut off in time', async (t) => {
  const hurried: Clock = {
    ...systemClock,
    after: (delayMs, callback) => systemClock.after(delayMs === handshakeMsMax ? 300 : delayMs, callback),
  }
  const a = await startTestNode(t, 'a', { clock: hurried })
  const { host, port } = a.peers.address
  const silent = outcome(t, connectTcp({ host, port }))
  const handshaken = outcome(t, call(a, testNodeLeaf))
  await Promise.all([silent, handshaken])
  assert.equal(refusals(a).filter((code) => code === 'hello_late').length, 2)
})

test('a flood from one address takes its share of places and no more', async (t) => {
  const { a } = await twoMembers(t)
  const { host, port } = a.peers.address
  const sockets: Socket[] = []
  let closed = 0
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  for (let n = 0; n < strangersPerAddressMax + 40; n += 1) {
    const socket = connectTcp({ host, port })
    socket.on('error', () => {}).on('close', () => (closed += 1))
    socket.resume()
    sockets.push(socket)
  }
  await eventually(() => refusals(a).filter((code) => code === 'too_many_strangers').length === 40, 'forty are turned away')
  await eventually(() => closed >= 40, 'and closed')
  assert(strangersPerAddressMax < connectionsMax)
})

test("one who says that it wants to join and asks nothing holds a stranger's place, and not for long", async (t) => {
  const { a, b, heardFrom } = await twoMembers(t)
  const sockets = Array.from({ length: strangersPerAddressMax }, () => call(a, testNodeLeaf))
  const first = outcome(t, sockets[0]!)
  for (const socket of sockets) {
    t.after(() => socket.destroy())
    const said = { nodeId: 'x', incarnation: 'x', to: '', purpose: 'join' } as const
    await says(socket, (open) => framed(frameTypes.hello, encodeHello(hello(open, said))))
  }
  const turnedAway = call(a, testNodeLeaf)
  assert.equal((await outcome(t, turnedAway)).heard.length, 0)
  assert.equal(refusals(a)[0], 'too_many_strangers')
  await first
  const member = call(a, testNodeLeaf)
  void outcome(t, member)
  const asB = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }
  await says(member, (open) => Buffer.concat([framed(frameTypes.hello, encodeHello(hello(open, asB))), timeoutNow]))
  await eventually(() => heardFrom.length > 0, 'a member finds a place again')
})

test('a member that sends what no correct member sends is cut off and named', async (t) => {
  for (const bad of [
    framed(frameTypes.message, Buffer.from([77])),
    framed(99, Buffer.alloc(3)),
    framed(frameTypes.hello, Buffer.alloc(0)),
  ]) {
    const { a, b, heardFrom } = await twoMembers(t)
    const socket = call(a, testNodeLeaf)
    const ended = outcome(t, socket)
    const asB = { nodeId: 'b', incarnation: b.identity.incarnation, to: 'a' }
    await says(socket, (open) => Buffer.concat([framed(frameTypes.hello, encodeHello(hello(open, asB))), bad, timeoutNow]))
    await ended
    assert(a.events.some((event) => event.kind === 'malformed' && event.id === 'b'))
    assert.deepEqual(heardFrom, [])
  }
})

test('-node-verify-common-name lets in that name alone', async (t) => {
  const rules = { ...mutualTls, verifyCommonName: 'orders-node' }
  const a = await startTestNode(t, 'a', { tls: { files: new TestTlsSource(), rules } })
  const identity = new MemoryIdentity('b')
  a.identity.cluster = { clusterId: 'test-cluster', members: { members: [] }, origin: 'formed' }
  const member = { ...memberOf(a), id: identity.nodeId, incarnation: identity.incarnation, raftAddress: 'b:1' }
  a.peers.transport.setMembership({ members: [memberOf(a), member] })
  for (const [commonName, code] of [
    ['orders', ['common_name_refused']],
    ['orders-node', ['common_name_refused']],
  ] as const) {
    const socket = call(a, makeTestLeaf(testNodeCa, { commonName }))
    void outcome(t, socket)
    await says(socket, (open) =>
      framed(frameTypes.hello, encodeHello(hello(open, { nodeId: 'b', incarnation: identity.incarnation, to: 'a' }))),
    )
    await eventually(() => a.events.some(({ kind }) => kind === 'connected' || kind === 'refused-incoming'), 'an answer')
    assert.deepEqual(refusals(a), code)
  }
  await eventually(() => a.events.some(({ kind }) => kind === 'connected'), 'the right name is let in')
})

test('without mutual TLS a member still proves its incarnation, and nobody else gets in', async (t) => {
  const rules = { ...mutualTls, verifyClient: false }
  const nodes = await Promise.all(['a', 'b'].map((id) => startTestNode(t, id, { tls: { files: new TestTlsSource(), rules } })))
  const [a, b] = nodes as [TestNode, TestNode]
  unite(nodes)
  await eventually(() => nodes.every(({ events }) => events.some(({ kind }) => kind === 'connected')), 'both are connected')
  const socket = call(a, undefined)
  const ended = outcome(t, socket)
  const forged = testHello({ nodeId: b.identity.nodeId })
  await says(socket, () => framed(frameTypes.hello, encodeHello(forged)))
  assert.equal((await ended).heard[4], frameTypes.refusal)
  assert.deepEqual(refusals(a), ['wrong_incarnation'])
})
