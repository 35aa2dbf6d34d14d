import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
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
  noLife,
  noProof,
  prove,
  purposes,
  type Hello,
  type ProofSubject,
} from './hello.ts'
import { testHello } from './test-peers.ts'

const nodeId = fc.stringMatching(/^[a-z0-9.:-]{1,40}$/).map((text) => text as NodeId)
const text = fc.string({ maxLength: 40 })
const proof = fc.uint8Array({ minLength: 32, maxLength: 32 })
const counter = fc.nat(Number.MAX_SAFE_INTEGER)
const life = fc.record(
  { number: counter, process: fc.uint8Array({ minLength: 8, maxLength: 8 }), term: counter, isUntrusted: fc.boolean() },
  { noNullPrototype: true },
)
const hello = fc.record(
  {
    protocolMin: fc.nat(9),
    protocolMax: fc.integer({ min: 9, max: 255 }),
    purpose: fc.constantFrom(...purposes),
    clusterId: text,
    nodeId,
    targetNodeId: text,
    version: text,
    life,
    nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    proof,
  },
  { noNullPrototype: true },
)
const welcome = fc.record({ protocol: fc.nat(255), clusterId: text, nodeId, version: text, proof }, { noNullPrototype: true })

/** Buffers and typed arrays of the same bytes are the same here. */
function plain(said: object | undefined): unknown {
  const inHex = (_key: string, value: unknown): unknown => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)
  // Buffers turn themselves into JSON before a replacer sees them.
  const asArrays = (value: unknown): unknown =>
    value instanceof Uint8Array ? Uint8Array.from(value) : isRecord(value) ? mapped(value, asArrays) : value
  return said === undefined ? undefined : JSON.parse(JSON.stringify(asArrays(said), inHex))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function mapped(value: Record<string, unknown>, change: (value: unknown) => unknown): unknown {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, change(item)]))
}

test('hello, welcome and refusals come out as they went in', () => {
  fc.assert(
    fc.property(hello, welcome, (said, answered) => {
      assert.deepEqual(plain(decodeHello(encodeHello(said))), plain(said))
      assert.deepEqual(plain(decodeWelcome(encodeWelcome(answered))), plain(answered))
    }),
  )
  for (const code of helloRefusals)
    assert.deepEqual(plain(decodeRefusal(encodeRefusal({ code, proof: noProof }))), plain({ code, proof: noProof }))
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
    life: noLife,
    nonce: randomBytes(16),
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

test('a proof is another one for every other incarnation, word of the hello, channel and answer', () => {
  const said = testHello()
  const subject: ProofSubject = { says: 'hello', hello: said, channel: Buffer.from('x') }
  const words: Partial<Hello>[] = [
    { purpose: 'forward' },
    { protocolMax: 9 },
    { clusterId: 'other' },
    { nodeId: 'a' as NodeId, targetNodeId: 'b' },
    { targetNodeId: 'c' },
    // The borders between fields count.
    { nodeId: 'ba' as NodeId, targetNodeId: '' },
    { version: 'x' },
    { life: { ...noLife, number: 1 } },
    { life: { ...noLife, term: 1 } },
    { life: { ...noLife, isUntrusted: true } },
    { life: { ...noLife, process: Buffer.alloc(8, 1) } },
    { nonce: randomBytes(16) },
  ]
  const subjects: ProofSubject[] = [
    subject,
    { ...subject, says: 'welcome' },
    ...helloRefusals.map((code) => ({ ...subject, says: code })),
    { ...subject, channel: Buffer.from('y') },
    ...words.map((word) => ({ ...subject, hello: { ...said, ...word } })),
  ]
  const proofs = subjects.map((one) => Buffer.from(prove('secret', one)).toString('hex'))
  proofs.push(Buffer.from(prove('another', subject)).toString('hex'))
  assert.equal(new Set(proofs).size, subjects.length + 1)
})

test('comparing ids says whether they are the same, whatever their lengths', () => {
  assert.equal(isSame('abc', 'abc'), true)
  for (const other of ['', 'ab', 'abd', 'abcd']) assert.equal(isSame('abc', other), false)
})
