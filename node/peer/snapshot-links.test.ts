// Snapshots between real nodes over real sockets, and those who want more than their part.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import { eventually } from '../replica/eventually.ts'
import { snapshotSourceContract } from '../replica/snapshot-source-contract.ts'
import type { SnapshotManifest, SnapshotStore } from '../replica/snapshot-store.ts'
import type { FramedSocket } from './framed-socket.ts'
import type { Frame } from './frame.ts'
import { frameTypes } from './frame.ts'
import { chunkBytesMax, decodeSnapshotReply, encodeSnapshotRequest, type SnapshotRequest } from './snapshot-codec.ts'
import { answeringMax, receiversMax } from './snapshot-server.ts'
import { dialAs, startTestNode, unite, type TestNode } from './test-peers.ts'

const a = 'a' as NodeId

/** A store with one copy; counts what is asked of it. */
class OneCopy implements Pick<SnapshotStore, 'take' | 'read'> {
  readonly whole = randomBytes(3 * chunkBytesMax + 17)
  reads = 0
  /** Set by a test: reads wait for it. */
  gate: Promise<void> = Promise.resolve()
  readonly manifest: SnapshotManifest = {
    id: 'copy-1',
    index: 7,
    term: 2,
    membership: { members: [] },
    bytes: this.whole.length,
    hash: createHash('sha256').update(this.whole).digest('hex'),
  }

  take({ indexMin }: { readonly indexMin: number }) {
    return Promise.resolve(indexMin > this.manifest.index ? fail('snapshot_unavailable' as const) : ok(this.manifest))
  }

  async read({ id, offset, length }: { readonly id: string; readonly offset: number; readonly length: number }) {
    this.reads += 1
    await this.gate
    return id === this.manifest.id ? ok(this.whole.subarray(offset, offset + length)) : fail('snapshot_gone' as const)
  }
}

async function cluster(t: TestContext, ids: readonly string[], plain = false) {
  const copy = new OneCopy()
  const tls = plain ? ({ tls: 'plain' } as const) : {}
  const source = await startTestNode(t, 'a', { ...tls, snapshots: () => copy })
  const others = await Promise.all(ids.map((id) => startTestNode(t, id, tls)))
  unite([source, ...others])
  return { copy, source, others: others as [TestNode, ...TestNode[]] }
}

async function fetchWhole(node: TestNode, manifest: SnapshotManifest): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let offset = 0; offset < manifest.bytes;) {
    const chunk = await node.peers.snapshotSource.chunk(a, { id: manifest.id, offset, length: 4 * chunkBytesMax })
    assert(chunk.ok && chunk.value.length > 0)
    assert(chunk.value.length <= chunkBytesMax)
    parts.push(chunk.value)
    offset += chunk.value.length
  }
  return Buffer.concat(parts)
}

for (const plain of [false, true])
  test(`a member fetches a copy chunk by chunk, ${plain ? 'over plain TCP' : 'over TLS'}`, async (t) => {
    const { copy, others } = await cluster(t, ['b'], plain)
    const [b] = others
    const manifest = await b.peers.snapshotSource.manifest(a, { indexMin: 5 })
    assert.deepEqual(manifest, ok(copy.manifest))
    assert(copy.whole.equals(await fetchWhole(b, copy.manifest)))
    const end = await b.peers.snapshotSource.chunk(a, { id: 'copy-1', offset: copy.whole.length, length: 10 })
    assert(end.ok && end.value.length === 0)
  })

test('what the store refuses is told as it is', async (t) => {
  const { others } = await cluster(t, ['b'])
  const [{ peers }] = others
  assert.deepEqual(await peers.snapshotSource.manifest(a, { indexMin: 8 }), fail('snapshot_unavailable'))
  assert.deepEqual(await peers.snapshotSource.chunk(a, { id: 'other', offset: 0, length: 10 }), fail('snapshot_gone'))
})

test('one who is no member gets nothing, and no member is asked who is none', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  const outsider = await startTestNode(t, 'outsider')
  outsider.identity.cluster = source.identity.cluster
  const refused = await dialAs(outsider, source, 'snapshot')
  assert.equal(refused.ok ? '' : refused.problem.refusal, 'unknown_member')
  const impostor = await dialAs({ identity: others[0].identity, incarnation: 'guessed' }, source, 'snapshot')
  assert.equal(impostor.ok ? '' : impostor.problem.refusal, 'wrong_incarnation')
  assert.deepEqual(await others[0].peers.snapshotSource.manifest('outsider' as NodeId, { indexMin: 0 }), fail('unreachable'))
  assert.equal(copy.reads, 0)
})

test('a node without copies says so, and a source that is gone is unreachable', async (t) => {
  const { source, others } = await cluster(t, ['b'])
  const [b] = others
  assert.deepEqual(await b.peers.snapshotSource.manifest('b' as NodeId, { indexMin: 0 }), fail('unreachable'))
  assert.deepEqual(await source.peers.snapshotSource.manifest('b' as NodeId, { indexMin: 0 }), fail('snapshot_unavailable'))
  await source.close()
  assert.deepEqual(await b.peers.snapshotSource.chunk(a, { id: 'copy-1', offset: 0, length: 10 }), fail('unreachable'))
})

test('a connection that breaks between two chunks, or within one, costs no more than that chunk', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  const [b] = others
  assert((await b.peers.snapshotSource.chunk(a, { id: 'copy-1', offset: 0, length: 10 })).ok)
  let open = (): void => {}
  copy.gate = new Promise((resolve) => {
    open = resolve
  })
  const under = b.peers.snapshotSource.chunk(a, { id: 'copy-1', offset: 10, length: 10 })
  await eventually(() => copy.reads === 2, 'the second chunk is being read')
  // Another connection of the same member takes the place of the one under way.
  const other = await dialAs(b, source, 'snapshot')
  assert(other.ok)
  await eventually(() => copy.reads === 3, 'it is asked for once more')
  open()
  const chunk = await under
  assert(chunk.ok && copy.whole.subarray(10, 20).equals(chunk.value))
})

interface Raw {
  readonly framed: FramedSocket
  readonly heard: Frame[]
  say(request: SnapshotRequest): void
}

async function rawReceiver(as: TestNode, source: TestNode): Promise<Raw> {
  const dialled = await dialAs(as, source, 'snapshot')
  assert(dialled.ok)
  const { framed } = dialled.value
  const heard: Frame[] = []
  framed.become({ frameBytesMax: 2 * chunkBytesMax, onFrame: (frame) => void heard.push(frame), onClose: () => {} })
  const say = (request: SnapshotRequest): void => {
    const { type, parts } = encodeSnapshotRequest(request)
    framed.write(type, parts)
  }
  return { framed, heard, say }
}

test('a member that asks for a thousand chunks at once has one read, and its connection ends', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  const raw = await rawReceiver(others[0], source)
  let open = (): void => {}
  copy.gate = new Promise((resolve) => {
    open = resolve
  })
  for (let n = 0; n < 1_000; n += 1) raw.say({ kind: 'read', id: 'copy-1', offset: n, length: chunkBytesMax })
  await eventually(() => raw.framed.isClosed, 'the connection ends')
  open()
  assert.equal(copy.reads, 1)
  assert(source.events.some((event) => event.kind === 'malformed' && event.defect === 'snapshot_request'))
})

test('a member that dials anew with each question does not start a read each time', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  copy.gate = new Promise(() => {})
  const last = { kind: 'read', id: 'copy-1', offset: 0, length: 1 } as const
  for (let n = 0; n < answeringMax; n += 1) {
    ;(await rawReceiver(others[0], source)).say(last)
    await eventually(() => copy.reads === n + 1, 'the question is taken')
  }
  const raw = await rawReceiver(others[0], source)
  raw.say(last)
  await eventually(() => raw.heard.length === 1, 'an answer')
  assert.deepEqual(
    raw.heard.map((frame) => decodeSnapshotReply(frame, last)),
    [{ kind: 'refused', code: 'busy' }],
  )
  assert.equal(copy.reads, answeringMax)
})

test('a member that asks for more than a chunk, or says anything else, is cut off', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  for (const length of [0, chunkBytesMax + 1, 0xffffffff]) {
    const raw = await rawReceiver(others[0], source)
    raw.say({ kind: 'read', id: 'copy-1', offset: 0, length })
    await eventually(() => raw.framed.isClosed, 'the connection ends')
  }
  const raw = await rawReceiver(others[0], source)
  raw.framed.write(frameTypes.message, [Buffer.from('?')])
  await eventually(() => raw.framed.isClosed, 'the connection ends')
  assert.equal(copy.reads, 0)
})

test('a member that asks and does not read what it is sent is cut off', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  const raw = await rawReceiver(others[0], source)
  raw.framed.socket.pause()
  // Reads of the store are counted, so each question follows the answer before it, unread.
  for (let asked = 1; asked <= 200; asked += 1) {
    raw.say({ kind: 'read', id: 'copy-1', offset: 0, length: chunkBytesMax })
    await eventually(() => copy.reads === asked || isCutOff(source), 'the question is taken')
    if (isCutOff(source)) return
  }
  assert.fail('200 MiB were taken for one that reads nothing')
})

function isCutOff(source: TestNode): boolean {
  return source.events.some((event) => event.kind === 'disconnected' && event.purpose === 'snapshot' && event.why === 'does_not_read')
}

test('more receivers than are served at once are told to come again, and get a place when one leaves', async (t) => {
  const { copy, source, others } = await cluster(t, ['b', 'c', 'd'])
  const [first, second, late] = others as [TestNode, TestNode, TestNode]
  assert.equal(receiversMax, 2)
  const held = [await rawReceiver(first, source), await rawReceiver(second, source)]
  for (const raw of held) {
    raw.say({ kind: 'take', indexMin: 0 })
    await eventually(() => raw.heard.length === 1, 'it is served')
  }
  assert.deepEqual(await late.peers.snapshotSource.manifest(a, { indexMin: 0 }), fail('unreachable'))
  assert(source.events.some((event) => event.kind === 'snapshot-busy' && event.id === 'd'))
  held[0]?.framed.close('test')
  await eventually(
    () => source.events.some((event) => event.kind === 'disconnected' && event.id === 'b' && event.purpose === 'snapshot'),
    'b left',
  )
  assert.deepEqual(await late.peers.snapshotSource.manifest(a, { indexMin: 0 }), ok(copy.manifest))
})

test('a chunk with one flipped bit, of another place or of another copy is no answer', async (t) => {
  const { copy, source, others } = await cluster(t, ['b'])
  const raw = await rawReceiver(others[0], source)
  const asked = { kind: 'read', id: 'copy-1', offset: 5, length: 100 } as const
  raw.say(asked)
  await eventually(() => raw.heard.length === 1, 'the answer')
  const [{ type, body }] = raw.heard as [Frame]
  const sound = decodeSnapshotReply({ type, body }, asked)
  assert(sound?.kind === 'chunk' && copy.whole.subarray(5, 105).equals(sound.bytes))
  for (let bit = 0; bit < body.length * 8; bit += 1) {
    const bytes = Buffer.from(body)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(decodeSnapshotReply({ type, body: bytes }, asked), undefined)
  }
  assert.equal(decodeSnapshotReply({ type, body }, { ...asked, offset: 6 }), undefined)
  assert.equal(decodeSnapshotReply({ type, body }, { ...asked, id: 'copy-2' }), undefined)
  assert.equal(decodeSnapshotReply({ type, body }, { ...asked, length: 99 }), undefined)
  assert.equal(decodeSnapshotReply({ type, body }, { kind: 'take', indexMin: 0 }), undefined)
})

for (const plain of [false, true])
  snapshotSourceContract(plain ? 'plain snapshot links' : 'TLS snapshot links', async (snapshots) => {
    const tls = plain ? ({ tls: 'plain' } as const) : {}
    const nodes = [
      await startTestNode(undefined, 'a', { ...tls, snapshots: () => snapshots }),
      await startTestNode(undefined, 'b', tls),
    ] as const
    unite(nodes)
    const dispose = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.close())))
    return { source: nodes[1].peers.snapshotSource, server: a, stopServer: () => nodes[0].close(), dispose }
  })
