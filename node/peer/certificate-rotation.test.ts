// Certificates and CAs change while nodes run.
import assert from 'node:assert/strict'
import { connect as connectTcp } from 'node:net'
import { test, type TestContext } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { NodeId } from '../raft/membership.ts'
import { eventually } from '../replica/eventually.ts'
import { frameHeader, frameTypes } from './frame.ts'
import { encodeHello } from './hello.ts'
import { applicationProtocol } from './peer-tls.ts'
import { makeTestCa, makeTestLeaf } from './test-certificates.ts'
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

const newCa = makeTestCa('new CA')
const both = testNodeCa.certificate + newCa.certificate
const oldUnderBoth = testMaterial(testNodeLeaf, both)
const newUnderBoth = testMaterial(makeTestLeaf(newCa), both)
const newAlone = testMaterial(makeTestLeaf(newCa), newCa.certificate)

/** The hello of a node that wants to join: the widest door there is. */
const stranger = testHello({ purpose: 'join', clusterId: '', nodeId: 'x' as NodeId, targetNodeId: '' })

function watch(t: TestContext, socket: TLSSocket): { readonly heard: () => number; readonly isClosed: () => boolean } {
  let bytes = 0
  let isClosed = false
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  socket.on('close', () => (isClosed = true))
  socket.on('secureConnect', () => {
    const body = encodeHello(stranger)
    socket.write(Buffer.concat([frameHeader(frameTypes.hello, body.length), body]))
  })
  t.after(() => socket.destroy())
  return { heard: () => bytes, isClosed: () => isClosed }
}

const underOldLeaf = { ca: both, cert: testNodeLeaf.certificate, key: testNodeLeaf.key, ALPNProtocols: [applicationProtocol] }

async function hears(node: TestNode, from: TestNode): Promise<void> {
  let heard = 0
  node.peers.transport.listen({ message: () => (heard += 1), unreachable: () => {}, removed: () => {}, rolledBack: () => {} })
  await eventually(() => {
    from.peers.transport.send([{ to: node.identity.nodeId, message: { kind: 'timeout-now', term: 1 } }])
    return heard > 0
  }, 'a message arrives')
}

test('trust both, switch leaves, drop the old CA: members keep talking, and what was made under the old CA is closed', async (t) => {
  const [fileA, fileB] = [new TestTlsSource(oldUnderBoth), new TestTlsSource(oldUnderBoth)]
  const a = await startTestNode(t, 'a', { tls: { files: fileA, rules: mutualTls } })
  const b = await startTestNode(t, 'b', { tls: { files: fileB, rules: mutualTls } })
  unite([a, b])
  const old = watch(t, connectTls({ ...a.peers.address, ...underOldLeaf }))
  await eventually(() => old.heard() > 0, 'let in under the old CA')
  for (const file of [fileA, fileB]) file.swap(newUnderBoth)
  await hears(a, b)
  assert.equal(old.isClosed(), false)
  for (const file of [fileA, fileB]) file.swap(newAlone)
  await eventually(() => old.isClosed(), 'closed when its CA is gone')
  const late = watch(t, connectTls({ ...a.peers.address, ...underOldLeaf }))
  await eventually(() => late.isClosed(), 'and not let in again')
  assert.equal(late.heard(), 0)
  await hears(a, b)
  await hears(b, a)
})

test('a handshake that began before its CA was removed does not slip through', async (t) => {
  const file = new TestTlsSource(oldUnderBoth)
  const a = await startTestNode(t, 'a', { tls: { files: file, rules: mutualTls } })
  const early = connectTcp(a.peers.address)
  early.on('error', () => {})
  await new Promise<void>((resolve) => early.once('connect', resolve))
  // Connections are accepted in order: when a later one has been answered, the early one has its TLS context, the old one.
  const later = watch(t, connectTls({ ...a.peers.address, ...underOldLeaf }))
  await eventually(() => later.heard() > 0, 'a later one is let in')
  file.swap(newAlone)
  const slipping = watch(t, connectTls({ socket: early, ...underOldLeaf, checkServerIdentity: () => undefined }))
  await eventually(() => slipping.isClosed(), 'closed')
  assert.equal(slipping.heard(), 0)
})

test('a server whose certificate is renewed shows the new one to the next caller', async (t) => {
  const file = new TestTlsSource()
  const a = await startTestNode(t, 'a', { tls: { files: file, rules: mutualTls } })
  const serials: (string | undefined)[] = []
  for (let n = 0; n < 2; n += 1) {
    const socket = connectTls({ ...a.peers.address, ...underOldLeaf })
    const seen = watch(t, socket)
    await eventually(() => seen.heard() > 0, 'an answer')
    serials.push(socket.getPeerX509Certificate()?.serialNumber)
    file.swap(testMaterial(makeTestLeaf(testNodeCa), testNodeCa.certificate))
  }
  assert.notEqual(serials[0], serials[1])
})
