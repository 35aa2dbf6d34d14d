// How soon a node hears that another has died, and that it does not hear it when nobody has. Over real sockets, with clocks on which no time passes.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import { eventually, meanwhile } from '../replica/eventually.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { makeTestCa, makeTestLeaf } from './test-certificates.ts'
import { frameTypes } from './frame.ts'
import { redialBackOff } from './member-link.ts'
import {
  dialAs,
  startTestNode,
  testMaterial,
  testNodeCa,
  testNodeLeaf,
  TestTlsSource,
  mutualTls,
  unite,
  type TestNode,
} from './test-peers.ts'

async function pair(t: TestContext): Promise<{ a: TestNode; b: TestNode; clock: ManualClock; unreachable: NodeId[] }> {
  const clock = new ManualClock()
  // No time passes: what is noticed is noticed by the sockets.
  const changes = () => ({ clock, tls: { files: new TestTlsSource(), rules: mutualTls } })
  const [a, b] = [await startTestNode(t, 'a', changes()), await startTestNode(t, 'b', changes())]
  const unreachable: NodeId[] = []
  a.peers.transport.listen({ message: () => {}, unreachable: (id) => unreachable.push(id), removed: () => {}, rolledBack: () => {} })
  unite([a, b])
  await eventually(() => [a, b].every((node) => count(node, 'connected') === 2), 'both directions are connected')
  return { a, b, clock, unreachable }
}

function count(node: TestNode, kind: 'connected' | 'disconnected' | 'dial-failed', direction?: 'incoming' | 'outgoing'): number {
  return node.events.filter(
    (event) => event.kind === kind && (direction === undefined || ('direction' in event && event.direction === direction)),
  ).length
}

test('a member that dies is unreachable at once, without any timer', async (t) => {
  const { b, unreachable } = await pair(t)
  await b.close()
  await eventually(() => unreachable.includes('b' as NodeId), 'a hears of it')
})

for (const how of ['loss', 'end'] as const)
  test(`the ${how} of the connection that a member has dialled is enough`, async (t) => {
    const { a, b, unreachable } = await pair(t)
    // Takes the place of b's own connection.
    const dialled = await dialAs(b, a, 'raft')
    assert(dialled.ok)
    await eventually(() => count(a, 'disconnected', 'incoming') === 1, 'the older one is replaced')
    assert.equal(unreachable.length, 0)
    if (how === 'loss') dialled.value.framed.socket.destroy()
    else dialled.value.framed.socket.end()
    await eventually(() => unreachable.includes('b' as NodeId), 'a hears of it')
    assert.equal(count(a, 'disconnected', 'outgoing'), 0)
  })

test('a member that says goodbye before it ends a connection is not taken for dead', async (t) => {
  const { a, b, unreachable } = await pair(t)
  const dialled = await dialAs(b, a, 'raft')
  assert(dialled.ok)
  const { framed } = dialled.value
  framed.write(frameTypes.goodbye, [])
  framed.end('test')
  await eventually(() => count(a, 'disconnected', 'incoming') === 2, 'it ends')
  await meanwhile()
  assert.equal(unreachable.length, 0)
})

test('a member that comes back is dialled soon after it has dialled, however long it was away', async (t) => {
  const { a, b, clock } = await pair(t)
  await b.close()
  const dialled = async (times: number) => eventually(() => count(a, 'dial-failed') >= times, `dialled ${times} times`)
  for (let times = 1; times <= 6; times += 1) {
    // The end of the connection is heard of first, and then each failure, before the next pause begins.
    await eventually(() => count(a, 'disconnected', 'outgoing') === 1, 'a hears of it')
    clock.advance(redialBackOff.maxMs)
    await dialled(times)
  }
  await meanwhile()
  clock.advance(redialBackOff.firstMs)
  await meanwhile()
  assert.equal(count(a, 'dial-failed'), 6, 'by itself it would wait for longer')
  assert((await dialAs(b, a, 'raft')).ok)
  await eventually(() => count(a, 'connected', 'incoming') === 2, 'b is back')
  clock.advance(redialBackOff.firstMs)
  await dialled(7)
})

test('new certificates at either side are no death', async (t) => {
  const { a, b, unreachable } = await pair(t)
  for (const node of [b, a]) {
    const connected = [count(a, 'connected'), count(b, 'connected')]
    node.tls!.swap(testMaterial(makeTestLeaf(testNodeCa), testNodeCa.certificate))
    await eventually(() => count(a, 'connected') > connected[0]! && count(b, 'connected') > connected[1]!, 'it has dialled anew')
  }
  await meanwhile()
  assert.equal(unreachable.length, 0)
})

test('a member under a CA that is gone is let go with a goodbye, and not a word of it is heard after', async (t) => {
  const newCa = makeTestCa('new CA')
  const both = testNodeCa.certificate + newCa.certificate
  const files = new TestTlsSource(testMaterial(testNodeLeaf, both))
  const a = await startTestNode(t, 'a', { tls: { files, rules: mutualTls } })
  const b = await startTestNode(t, 'b')
  const heard: NodeId[] = []
  a.peers.transport.listen({ message: (from) => heard.push(from), unreachable: () => {}, removed: () => {}, rolledBack: () => {} })
  unite([a, b])
  const said: number[] = []
  const dialled = await dialAs(b, a, 'raft')
  assert(dialled.ok)
  const { framed } = dialled.value
  framed.become({ frameBytesMax: 100, onFrame: ({ type }) => void said.push(type), onClose: () => {} })
  files.swap(testMaterial(makeTestLeaf(newCa), newCa.certificate))
  framed.write(frameTypes.message, [Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 1])])
  await eventually(() => framed.isClosed, 'it ends')
  assert.equal(said.at(-1), frameTypes.goodbye)
  assert.deepEqual(heard, [])
})
