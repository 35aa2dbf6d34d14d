import assert from 'node:assert/strict'
import { connect as connectTls } from 'node:tls'
import { test, type TestContext } from 'node:test'
import type { ForwardedReply, ForwardedRequest, ForwardedRequestHandler } from '../api/forwarder.ts'
import type { NodeId } from '../raft/membership.ts'
import { eventually } from '../replica/eventually.ts'
import { decodeReply, decodeRequest, encodeReply, encodeRequest, forwardBodyBytesMax } from './forward-codec.ts'
import { frameHeader, frameTypes } from './frame.ts'
import { encodeHello, prove } from './hello.ts'
import { applicationProtocol, channelOf } from './peer-tls.ts'
import { makeTestLeaf } from './test-certificates.ts'
import {
  mutualTls,
  startTestNode,
  testHello,
  testMaterial,
  testNodeCa,
  testNodeLeaf,
  TestTlsSource,
  unite,
  type TestNode,
} from './test-peers.ts'

const request: ForwardedRequest = {
  method: 'POST',
  path: '/db/execute',
  query: 'timings&pretty',
  contentType: 'application/json',
  body: Buffer.from('["insert"]'),
  identity: { kind: 'user', username: 'märy' },
  timeoutMs: 120_000,
}

async function pair(t: TestContext, handler: ForwardedRequestHandler | undefined): Promise<{ a: TestNode; b: TestNode }> {
  const a = await startTestNode(t, 'a')
  const b = await startTestNode(t, 'b', { forwardedRequestHandler: () => handler })
  unite([a, b])
  return { a, b }
}

function echo(seen: ForwardedRequest[] = []): ForwardedRequestHandler {
  return {
    handle: (given) => {
      seen.push(given)
      return Promise.resolve({ status: 200, headers: { 'Content-Type': 'application/json' }, body: given.body })
    },
  }
}

const toB = 'b' as NodeId

test('a request arrives as it was sent, with the identity beside it, and its reply comes back', async (t) => {
  const seen: ForwardedRequest[] = []
  const { a } = await pair(t, echo(seen))
  const reply = await a.peers.forwarder.forward(toB, request)
  assert(reply.ok)
  assert.deepEqual(
    { ...reply.value, body: Buffer.from(reply.value.body).toString() },
    { status: 200, headers: { 'Content-Type': 'application/json' }, body: '["insert"]' },
  )
  const { timeoutMs, body, ...rest } = seen[0]!
  const { timeoutMs: sentTimeoutMs, body: sentBody, ...sentRest } = request
  assert.deepEqual(rest, sentRest)
  assert.deepEqual(Buffer.from(body), sentBody)
  assert(timeoutMs > 0 && timeoutMs <= sentTimeoutMs)
})

test('anonymous stays anonymous: an empty user name is no identity on the wire', () => {
  const parts = encodeRequest(1, { ...request, identity: { kind: 'anonymous' } })
  const wire = Buffer.concat(parts!)
  assert.deepEqual(decodeRequest(wire)?.request.identity, { kind: 'anonymous' })
  // Byte 8 is the kind of identity: anonymous with a name, or a user without one, is malformed.
  const user = Buffer.concat(encodeRequest(1, request)!)
  user[8] = 1
  assert.equal(decodeRequest(user), undefined)
  wire[8] = 2
  assert.equal(decodeRequest(wire), undefined)
})

test('requests and replies cut anywhere before their body are malformed', () => {
  const wire = Buffer.concat(encodeRequest(7, { ...request, body: new Uint8Array() })!)
  for (let length = 0; length < wire.length; length += 1) assert.equal(decodeRequest(wire.subarray(0, length)), undefined)
  const reply = Buffer.concat(encodeReply(7, { status: 200, headers: { a: 'b', __proto__x: 'c' }, body: new Uint8Array() })!)
  for (let length = 0; length < reply.length; length += 1) assert.equal(decodeReply(reply.subarray(0, length)), undefined)
  assert.deepEqual(decodeReply(reply)?.reply.headers, { a: 'b', __proto__x: 'c' })
})

test('many requests share a connection and each gets its own reply, whatever the order', async (t) => {
  const waiting: (() => void)[] = []
  const handler: ForwardedRequestHandler = {
    handle: (given) => new Promise((resolve) => waiting.push(() => resolve({ status: 200, headers: {}, body: given.body }))),
  }
  const { a, b } = await pair(t, handler)
  const replies = Array.from({ length: 20 }, (_, n) => a.peers.forwarder.forward(toB, { ...request, body: Buffer.from(String(n)) }))
  await eventually(() => waiting.length === 20, 'all are being handled')
  for (const answer of waiting.toReversed()) answer()
  const bodies = (await Promise.all(replies)).map((reply) => (reply.ok ? Buffer.from(reply.value.body).toString() : reply.problem.code))
  assert.deepEqual(
    bodies,
    Array.from({ length: 20 }, (_, n) => String(n)),
  )
  assert.equal(b.events.filter((event) => event.kind === 'connected' && event.purpose === 'forward').length, 1)
})

test('a member that is down is forward_not_sent; one that dies with the request is outcome_unknown, and the request is never sent again', async (t) => {
  let handled = 0
  const { a, b } = await pair(t, {
    handle: () => {
      handled += 1
      return new Promise(() => {})
    },
  })
  const hanging = a.peers.forwarder.forward(toB, request)
  await eventually(() => handled === 1, 'b has it')
  await b.close()
  const lost = await hanging
  assert.equal(!lost.ok && lost.problem.code, 'outcome_unknown')
  const later = await a.peers.forwarder.forward(toB, request)
  assert.equal(!later.ok && later.problem.code, 'forward_not_sent')
  assert.equal(handled, 1)
})

test('a deadline that passes while the member works is outcome_unknown', async (t) => {
  const { a } = await pair(t, { handle: () => new Promise(() => {}) })
  const late = await a.peers.forwarder.forward(toB, { ...request, timeoutMs: 300 })
  assert.equal(!late.ok && late.problem.code, 'outcome_unknown')
})

test('a member whose API is not ready sends the request back untouched', async (t) => {
  const { a } = await pair(t, undefined)
  const refused = await a.peers.forwarder.forward(toB, request)
  assert.equal(!refused.ok && refused.problem.code, 'forward_not_sent')
})

test('an unknown member, and a request too large to be sent, are forward_not_sent', async (t) => {
  const { a } = await pair(t, echo())
  const nobody = await a.peers.forwarder.forward('c' as NodeId, request)
  assert.equal(!nobody.ok && nobody.problem.code, 'forward_not_sent')
  const large = await a.peers.forwarder.forward(toB, { ...request, body: new Uint8Array(forwardBodyBytesMax + 1) })
  assert.equal(!large.ok && large.problem.code, 'forward_not_sent')
  const longQuery = await a.peers.forwarder.forward(toB, { ...request, query: 'q'.repeat(70_000) })
  assert.equal(!longQuery.ok && longQuery.problem.code, 'forward_not_sent')
})

test('a reply too large to be forwarded is said so, with its code', async (t) => {
  const { a } = await pair(t, {
    handle: (): Promise<ForwardedReply> => Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(forwardBodyBytesMax + 1) }),
  })
  const reply = await a.peers.forwarder.forward(toB, request)
  assert.equal(reply.ok && reply.value.headers['X-SecureSQL-Code'], 'forward_failed')
})

test('one who is no member cannot forward, whatever identity it claims', async (t) => {
  const seen: ForwardedRequest[] = []
  const { b } = await pair(t, echo(seen))
  const forged = encodeRequest(1, { ...request, identity: { kind: 'user', username: 'admin' } })!
  const body = Buffer.concat(forged)
  for (const nodeId of ['mallory', 'a'] as NodeId[]) {
    const { host, port } = b.peers.address
    const options = { host, port, ca: testNodeCa.certificate, cert: testNodeLeaf.certificate, key: testNodeLeaf.key }
    const socket = connectTls({ ...options, ALPNProtocols: [applicationProtocol] })
    const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
    socket.resume()
    socket.on('secureConnect', () => {
      const said = testHello({ purpose: 'forward', nodeId, targetNodeId: 'b' })
      const hello = { ...said, proof: prove('guessed', { says: 'hello', hello: said, channel: channelOf(socket) }) }
      const bytes = encodeHello(hello)
      socket.write(
        Buffer.concat([frameHeader(frameTypes.hello, bytes.length), bytes, frameHeader(frameTypes.forwardRequest, body.length), body]),
      )
    })
    await closed
  }
  assert.deepEqual(seen, [])
})

test('a large request delays no message of Raft', async (t) => {
  const { a, b } = await pair(t, echo())
  const heard: number[] = []
  b.peers.transport.listen({
    message: (_from, message) => heard.push(message.term),
    unreachable: () => {},
    removed: () => {},
    rolledBack: () => {},
  })
  await eventually(() => a.events.some((event) => event.kind === 'connected' && event.purpose === 'raft'), 'connected')
  let isDone = false
  const large = a.peers.forwarder
    .forward(toB, { ...request, body: Buffer.alloc(forwardBodyBytesMax), timeoutMs: 120_000 })
    .then((reply) => {
      isDone = true
      return reply
    })
  a.peers.transport.send([{ to: toB, message: { kind: 'timeout-now', term: 1 } }])
  await eventually(() => heard.length > 0, 'the message')
  assert.equal(isDone, false, 'it was heard while the large one was still under way')
  assert.equal((await large).ok, true)
})

test('certificates change under load and no request fails', async (t) => {
  const files = [new TestTlsSource(), new TestTlsSource()]
  const a = await startTestNode(t, 'a', { tls: { files: files[0]!, rules: mutualTls } })
  const b = await startTestNode(t, 'b', { tls: { files: files[1]!, rules: mutualTls }, forwardedRequestHandler: () => echo() })
  unite([a, b])
  const over = new AbortController()
  const failures: string[] = []
  let done = 0
  const writers = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const reply = await a.peers.forwarder.forward(toB, request)
      if (reply.ok) done += 1
      else failures.push(`${reply.problem.code}: ${reply.problem.message}`)
    }
  })
  for (let n = 0; n < 10; n += 1) {
    const before = done
    for (const file of files) file.swap(testMaterial(makeTestLeaf(testNodeCa), testNodeCa.certificate))
    await eventually(() => done > before + 20 || failures.length > 0, 'requests go on')
  }
  over.abort()
  await Promise.all(writers)
  assert.deepEqual(failures, [])
})

test('a member is reached with its version and a round trip; one that is gone is not', async (t) => {
  const { a, b } = await pair(t, echo())
  const reached = await a.peers.reach({ id: toB }, { timeoutMs: 120_000 })
  assert.equal(reached.reachable, true)
  assert.equal(reached.version, '1.2.3')
  assert(reached.seconds > 0 && reached.seconds < 120)
  const itself = await a.peers.reach({ id: 'a' as NodeId }, { timeoutMs: 120_000 })
  assert.equal(itself.reachable, true)
  await b.close()
  const gone = await a.peers.reach({ id: toB }, { timeoutMs: 120_000 })
  assert.equal(gone.reachable, false)
  assert.match(gone.error ?? '', /127\.0\.0\.1/)
  assert.equal((await a.peers.reach({ id: 'c' as NodeId }, { timeoutMs: 100 })).reachable, false)
})

test('a node that stops answers what it has taken, and sends back untouched what comes after', async (t) => {
  const seen: ForwardedRequest[] = []
  const answer = Promise.withResolvers<ForwardedReply>()
  const handler: ForwardedRequestHandler = { handle: (given) => (seen.push(given), answer.promise) }
  const { a, b } = await pair(t, handler)
  const taken = a.peers.forwarder.forward(toB, request)
  await eventually(() => seen.length === 1, 'it is taken')
  const closed = b.close()
  const late = await a.peers.forwarder.forward(toB, request)
  assert.equal(late.ok ? 'answered' : late.problem.code, 'forward_not_sent')
  answer.resolve({ status: 200, headers: {}, body: Buffer.from('done') })
  const reply = await taken
  assert(reply.ok && Buffer.from(reply.value.body).toString() === 'done')
  await closed
  assert.equal(seen.length, 1)
})
