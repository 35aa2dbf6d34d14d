import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NodeId } from '../raft/membership.ts'
import {
  decodeHello,
  decodeRefusal,
  decodeWelcome,
  encodeHello,
  encodeRefusal,
  encodeWelcome,
  helloBytesMax,
  helloRefusals,
  isSame,
  noProof,
  prove,
  purposes,
  type ProofSubject,
} from './hello.ts'

const nodeId = fc.stringMatching(/^[a-z0-9.:-]{1,40}$/).map((text) => text as NodeId)
const text = fc.string({ maxLength: 40 })
const proof = fc.uint8Array({ minLength: 32, maxLength: 32 })
const hello = fc.record(
  {
    protocolMin: fc.nat(9),
    protocolMax: fc.integer({ min: 9, max: 255 }),
    purpose: fc.constantFrom(...purposes),
    clusterId: text,
    nodeId,
    targetNodeId: text,
    version: text,
    proof,
  },
  { noNullPrototype: true },
)
const welcome = fc.record({ protocol: fc.nat(255), clusterId: text, nodeId, version: text, proof }, { noNullPrototype: true })

/** Buffers and typed arrays of the same bytes are the same here. */
function plain(said: { readonly proof: Uint8Array } | undefined): unknown {
  return said === undefined ? undefined : { ...said, proof: Buffer.from(said.proof).toString('hex') }
}

test('hello, welcome and refusals come out as they went in', () => {
  fc.assert(
    fc.property(hello, welcome, (said, answered) => {
      assert.deepEqual(plain(decodeHello(encodeHello(said))), plain(said))
      assert.deepEqual(plain(decodeWelcome(encodeWelcome(answered))), plain(answered))
    }),
  )
  for (const code of helloRefusals) assert.equal(decodeRefusal(encodeRefusal(code)), code)
})

test('the longest hello fits into what may be sent before it is judged', () => {
  const longest = 'x'.repeat(255)
  const said = {
    protocolMin: 1,
    protocolMax: 1,
    purpose: 'raft',
    clusterId: longest,
    nodeId: longest as NodeId,
    targetNodeId: longest,
    version: longest,
    proof: noProof,
  } as const
  assert(encodeHello(said).length < helloBytesMax)
})

test('anything that is cut, too long, not UTF-8 or not ours is undefined and never an exception', () => {
  fc.assert(
    fc.property(hello, fc.uint8Array({ maxLength: 200 }), fc.nat(), (said, noise, at) => {
      const bytes = Buffer.from(encodeHello(said))
      assert.equal(decodeHello(bytes.subarray(0, at % bytes.length)), undefined)
      assert.equal(decodeHello(Buffer.concat([bytes, Buffer.from([0])])), undefined)
      decodeHello(Buffer.concat([bytes.subarray(0, 8), noise]))
      decodeWelcome(Buffer.concat([bytes.subarray(0, 8), noise]))
      decodeRefusal(Buffer.concat([bytes.subarray(0, 8), noise]))
      bytes[0]! ^= 1
      assert.equal(decodeHello(bytes), undefined)
    }),
  )
})

test('a proof is another one for every other incarnation, side, purpose, cluster, caller, called and channel', () => {
  const subject: ProofSubject = { side: 'caller', purpose: 'raft', clusterId: 'c', from: 'a', to: 'b', channel: Buffer.from('x') }
  const changes: Partial<ProofSubject>[] = [
    {},
    { side: 'called' },
    { purpose: 'forward' },
    { clusterId: 'd' },
    { from: 'b', to: 'a' },
    { to: 'c' },
    // The borders between fields count.
    { clusterId: 'ca', from: '' },
    { channel: Buffer.from('y') },
  ]
  const proofs = changes.map((change) => Buffer.from(prove('secret', { ...subject, ...change })).toString('hex'))
  proofs.push(Buffer.from(prove('another', subject)).toString('hex'))
  assert.equal(new Set(proofs).size, changes.length + 1)
})

test('comparing ids says whether they are the same, whatever their lengths', () => {
  assert.equal(isSame('abc', 'abc'), true)
  for (const other of ['', 'ab', 'abd', 'abcd']) assert.equal(isSame('abc', other), false)
})
