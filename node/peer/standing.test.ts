// What members say of a node itself: that it was removed, that its disk was put back in time. Over real sockets; and by those who have no right to say it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { Membership, NodeId } from '../raft/membership.ts'
import { eventually, meanwhile } from '../replica/eventually.ts'
import { FramedSocket } from './framed-socket.ts'
import { frameTypes } from './frame.ts'
import { decodeHello, encodeRefusal, noProof, prove, type Hello, type HelloRefusal } from './hello.ts'
import { applicationProtocol, channelOf } from './peer-tls.ts'
import { dialAs, MemoryIdentity, memberOf, startTestNode, testNodeLeaf, unite, type TestNode, type TestNodeChanges } from './test-peers.ts'

interface Standing {
  removed: number
  rolledBack: number
}

function listen(node: TestNode): Standing {
  const standing: Standing = { removed: 0, rolledBack: 0 }
  const listener = {
    message: () => {},
    unreachable: () => {},
    removed: () => void (standing.removed += 1),
    rolledBack: () => void (standing.rolledBack += 1),
  }
  node.peers.transport.listen(listener)
  return standing
}

function without(membership: Membership, id: string): Membership {
  return { members: membership.members.filter((member) => member.id !== id) }
}

async function refusalOf(dialled: ReturnType<typeof dialAs>): Promise<string | undefined> {
  const answered = await dialled
  if (answered.ok) answered.value.framed.close('test')
  return answered.ok ? 'welcome' : (answered.problem.refusal ?? answered.problem.code)
}

async function three(t: TestContext): Promise<{ a: TestNode; b: TestNode; c: TestNode; members: Membership }> {
  const [a, b, c] = (await Promise.all(['a', 'b', 'c'].map((id) => startTestNode(t, id)))) as [TestNode, TestNode, TestNode]
  return { a, b, c, members: unite([a, b, c]) }
}

test('a removed node is told so by those who have seen its removal', async (t) => {
  const { a, b, c, members } = await three(t)
  const standing = listen(c)
  for (const node of [a, b]) node.peers.transport.setMembership(without(members, 'c'))
  await eventually(() => standing.removed > 0, 'c learns of it')
  assert.equal(standing.rolledBack, 0)
})

test('only the one who was removed is told; a stranger, or a new node of that name, is not', async (t) => {
  const { a, b, c, members } = await three(t)
  a.peers.transport.setMembership(without(members, 'c'))
  b.peers.transport.setMembership(without(members, 'c'))
  assert.equal(await refusalOf(dialAs(c, a, 'raft')), 'removed_member')
  assert.equal(await refusalOf(dialAs({ identity: c.identity, incarnation: 'guessed' }, a, 'raft')), 'unknown_member')
  const stranger = new MemoryIdentity('x', a.identity.cluster)
  assert.equal(await refusalOf(dialAs({ identity: stranger }, a, 'raft')), 'unknown_member')
  // Another data directory under the old id is a member like any other, and the old one stays removed.
  const again = new MemoryIdentity('c', a.identity.cluster)
  const rejoined = {
    members: members.members.map((member) => (member.id === 'c' ? { ...member, incarnation: again.incarnation } : member)),
  }
  a.peers.transport.setMembership(rejoined)
  assert.equal(await refusalOf(dialAs({ identity: again }, a, 'raft')), 'welcome')
  assert.equal(await refusalOf(dialAs(c, a, 'raft')), 'removed_member')
})

test('a founder that was removed is told so even after all others have restarted', async (t) => {
  const { a, c, members } = await three(t)
  await a.close()
  const restarted = await startTestNode(t, 'a', { identity: a.identity, formation: { hasLog: true } })
  restarted.peers.transport.setMembership(without(members, 'c'))
  assert.equal(await refusalOf(dialAs(c, restarted, 'raft')), 'removed_member')
})

test('members that a node was told of when it joined are not taken for removed while it applies the past', async (t) => {
  const { a, c, members } = await three(t)
  await a.close()
  assert(a.identity.cluster !== undefined)
  a.identity.cluster = { ...a.identity.cluster, origin: 'joined' }
  const restarted = await startTestNode(t, 'a', { identity: a.identity, formation: { hasLog: true } })
  restarted.peers.transport.setMembership(without(members, 'c'))
  assert.equal(await refusalOf(dialAs(c, restarted, 'raft')), 'welcome', 'b vouches for it')
})

/** Answers every hello as `answer` says, at an address that `b` takes for `a`'s. */
async function liar(
  t: TestContext,
  answer: (hello: Hello, channel: Uint8Array) => Uint8Array,
): Promise<{ heard: () => number; port: number }> {
  let heard = 0
  const options = { cert: testNodeLeaf.certificate, key: testNodeLeaf.key, ALPNProtocols: [applicationProtocol] }
  const server = createTlsServer(options, (socket) => {
    const framed = new FramedSocket(socket, {
      frameBytesMax: 10_000,
      onFrame: ({ body }) => {
        heard += 1
        const hello = decodeHello(body)
        assert(hello !== undefined)
        framed.write(frameTypes.refusal, [answer(hello, channelOf(socket))])
        framed.end('test')
      },
      onClose: () => {},
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const bound = server.address()
  assert(typeof bound === 'object' && bound !== null)
  return { heard: () => heard, port: bound.port }
}

async function refusedBy(t: TestContext, says: (incarnation: string, hello: Hello, channel: Uint8Array, first: Hello) => Uint8Array) {
  const a = new MemoryIdentity('a')
  let first: Hello | undefined
  const { heard, port } = await liar(t, (hello, channel) => {
    first ??= hello
    return says(a.incarnation, hello, channel, first)
  })
  const b = await startTestNode(t, 'b')
  const standing = listen(b)
  const self = {
    id: 'a' as NodeId,
    incarnation: a.incarnation,
    raftAddress: `127.0.0.1:${port}`,
    apiUrl: 'https://a',
    suffrage: 'voter',
  } as const
  const members: Membership = { members: [self, memberOf(b)] }
  b.identity.cluster = { clusterId: 'test-cluster', members, origin: 'formed' }
  b.peers.transport.setMembership(members)
  await eventually(() => heard() >= 3, 'it was refused a few times')
  await meanwhile()
  return standing
}

for (const code of ['removed_member', 'rolled_back'] as const satisfies readonly HelloRefusal[]) {
  const heardAs = code === 'removed_member' ? 'removed' : 'rolledBack'

  test(`${code} of the member itself is believed`, async (t) => {
    const standing = await refusedBy(t, (incarnation, hello, channel) =>
      encodeRefusal({ code, proof: prove(incarnation, { says: code, hello, channel }) }),
    )
    assert(standing[heardAs] > 0)
  })

  test(`${code} without proof, with one of another, of another connection or of another answer is ignored`, async (t) => {
    const another = code === 'removed_member' ? 'rolled_back' : 'removed_member'
    const proofs: ((incarnation: string, hello: Hello, channel: Uint8Array, first: Hello) => Uint8Array)[] = [
      () => noProof,
      (_incarnation, hello, channel) => prove('guessed', { says: code, hello, channel }),
      // As one would have it who listened in: right in all, but said on another connection, or to another hello.
      (incarnation, hello) => prove(incarnation, { says: code, hello, channel: randomBytes(32) }),
      (incarnation, hello, channel) => prove(incarnation, { says: code, hello: { ...hello, nonce: randomBytes(16) }, channel }),
      (incarnation, hello, channel) => prove(incarnation, { says: another, hello, channel }),
      (incarnation, hello, channel) => prove(incarnation, { says: 'welcome', hello, channel }),
    ]
    for (const proof of proofs) {
      const standing = await refusedBy(t, (incarnation, hello, channel, first) =>
        encodeRefusal({ code, proof: proof(incarnation, hello, channel, first) }),
      )
      assert.deepEqual(standing, { removed: 0, rolledBack: 0 })
    }
  })
}

/** A data directory as it was copied: the same identity, the life it had. */
function copyOf(identity: MemoryIdentity, number: number): MemoryIdentity {
  const copy = new MemoryIdentity(identity.nodeId, identity.cluster)
  return Object.assign(copy, { incarnation: identity.incarnation, life: number })
}

test('a disk that was put back in time is told, notes it, and is let in as untrusted', async (t) => {
  const identity = Object.assign(new MemoryIdentity('b'), { life: 9 })
  const a = await startTestNode(t, 'a')
  let term = 7
  const opened = (of: MemoryIdentity, more: TestNodeChanges = {}): Promise<TestNode> =>
    startTestNode(t, 'b', { identity: of, durableTerm: () => term, formation: { hasLog: true }, ...more })
  const before = await opened(identity)
  const members = unite([a, before])
  const isConnected = (): boolean => a.events.some((event) => event.kind === 'connected' && event.direction === 'incoming')
  await eventually(isConnected, 'b is let in')
  await before.close()
  a.events.length = 0
  term = 3
  let trust: 'trusted' | 'untrusted' = 'trusted'
  const back = await opened(copyOf(identity, 4), { trust: () => trust })
  let told = 0
  const noteIt = (): void => {
    told += 1
    trust = 'untrusted'
  }
  back.peers.transport.listen({ message: () => {}, unreachable: () => {}, removed: () => {}, rolledBack: noteIt })
  back.peers.transport.setMembership(members)
  await eventually(isConnected, 'b is let in again')
  assert(told > 0)
  const code = (wanted: HelloRefusal) => a.events.some((event) => event.kind === 'refused-incoming' && event.code === wanted)
  assert(code('rolled_back'))
})

const position = { prevLogIndex: 0, prevLogTerm: 0, leaderCommit: 0, readSequence: 0, appendNumber: 0 }

for (const [name, message, isFound] of [
  ['an accepted append', { kind: 'append-reply', accepted: true }, true],
  ['a granted vote', { kind: 'vote-reply', granted: true }, true],
  ['a refused append', { kind: 'append-reply', accepted: false }, false],
  ['a vote for itself', { kind: 'vote', lastLogIndex: 0, lastLogTerm: 0, transfer: false }, true],
  ['a heartbeat, as of a leader', { kind: 'append', ...position, entries: [] }, true],
  ['an install-snapshot, as of a leader', { kind: 'install-snapshot', baseIndex: 0, baseTerm: 0, readSequence: 0, appendNumber: 0 }, true],
  ['a granted pre-vote, which promises nothing', { kind: 'pre-vote-reply', granted: true }, false],
] as const)
  test(`${name} in a term that is not on the disk after a restart ${isFound ? 'shows that the disk was put back' : 'shows nothing'}`, async (t) => {
    const identity = Object.assign(new MemoryIdentity('b'), { life: 1 })
    const [a, b] = [await startTestNode(t, 'a'), await startTestNode(t, 'b', { identity, durableTerm: () => 3 })]
    let heard = 0
    a.peers.transport.listen({ message: () => void (heard += 1), unreachable: () => {}, removed: () => {}, rolledBack: () => {} })
    unite([a, b])
    const details = { term: 8, matchIndex: 0, hintIndex: 0, hintTerm: 0, readSequence: 0, appendNumber: 0, trusted: true }
    const said = message.kind === 'append-reply' ? { ...details, ...message } : { term: 8, ...message }
    b.peers.transport.send([{ to: 'a' as NodeId, message: said }])
    await eventually(() => heard === 1, 'it is heard')
    await b.close()
    const life = { number: 2, process: randomBytes(8), term: 7, isUntrusted: false }
    assert.equal(await refusalOf(dialAs({ identity, life }, a, 'raft')), isFound ? 'rolled_back' : 'welcome')
  })

test('a node that restarts, or dials again and again, is never taken for rolled back', async (t) => {
  const identity = Object.assign(new MemoryIdentity('b'), { life: 1 })
  const a = await startTestNode(t, 'a')
  let members: Membership | undefined
  for (let life = 1; life <= 4; life += 1) {
    identity.life = life
    const b = await startTestNode(t, 'b', { identity, durableTerm: () => life, formation: { hasLog: true } })
    members ??= unite([a, b])
    b.peers.transport.setMembership(members)
    a.events.length = 0
    await eventually(() => a.events.some((event) => event.kind === 'connected' && event.direction === 'incoming'), 'b is let in')
    for (const purpose of ['forward', 'snapshot', 'vouch', 'raft'] as const)
      assert.equal(
        await refusalOf(
          dialAs({ identity, life: { number: life + 1, process: Buffer.alloc(8), term: 0, isUntrusted: false } }, a, purpose),
        ),
        'rolled_back',
      )
    await b.close()
  }
})
