import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeEntry } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'

const number = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))
const term = number

const plain: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('pre-vote' as const), term, lastLogIndex: number, lastLogTerm: number }),
  fc.record({ kind: fc.constant('pre-vote-reply' as const), term, granted: fc.boolean() }),
  fc.record({ kind: fc.constant('vote' as const), term, lastLogIndex: number, lastLogTerm: number, transfer: fc.boolean() }),
  fc.record({ kind: fc.constant('vote-reply' as const), term, granted: fc.boolean() }),
  fc.record({
    kind: fc.constant('append-reply' as const),
    term,
    accepted: fc.boolean(),
    matchIndex: number,
    hintIndex: number,
    hintTerm: number,
    readSequence: number,
    appendNumber: number,
    trusted: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('install-snapshot' as const),
    term,
    baseIndex: number,
    baseTerm: number,
    readSequence: number,
    appendNumber: number,
  }),
  fc.record({ kind: fc.constant('distrust' as const), term, acknowledgedIndex: number }),
  fc.record({ kind: fc.constant('read-index' as const), term, id: number, afterLoss: fc.boolean() }),
  fc.record({ kind: fc.constant('read-index-reply' as const), term, id: number, index: number, refused: fc.boolean() }),
  fc.record({ kind: fc.constant('timeout-now' as const), term }),
)

const append: fc.Arbitrary<Message> = fc
  .record({
    term: fc.integer({ min: 5, max: 2 ** 40 }),
    prevLogIndex: fc.integer({ min: 0, max: 2 ** 50 }),
    prevLogTerm: fc.nat(5),
    leaderCommit: number,
    readSequence: number,
    appendNumber: number,
    payloads: fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 }),
  })
  .map(({ payloads, ...fields }) => ({
    kind: 'append',
    ...fields,
    entries: payloads.map((payload, n) =>
      makeEntry({ index: fields.prevLogIndex + 1 + n, term: fields.term, kind: n % 2 === 0 ? 'command' : 'membership', payload }),
    ),
  }))

function encoded(message: Message): Buffer {
  return Buffer.concat(encodeMessage(message))
}

/** Typed arrays and buffers of the same bytes count as equal. */
function comparable(message: ReturnType<typeof decodeMessage>): unknown {
  if (typeof message === 'string' || message.kind !== 'append') return typeof message === 'string' ? message : { ...message }
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  return { ...message, entries: message.entries.map((entry) => ({ ...entry, payload: hex(entry.payload), bytes: hex(entry.bytes) })) }
}

test('every message comes out as it went in', () => {
  fc.assert(
    fc.property(fc.oneof(plain, append), (message) => {
      assert.deepEqual(comparable(decodeMessage(encoded(message))), comparable(message))
    }),
    { numRuns: 500 },
  )
})

test('entries come out with the bytes that stand on the disk, without a copy', () => {
  const entry = makeEntry({ index: 8, term: 2, kind: 'command', payload: Buffer.alloc(1_000, 1) })
  const message = {
    kind: 'append',
    term: 2,
    prevLogIndex: 7,
    prevLogTerm: 2,
    leaderCommit: 0,
    readSequence: 0,
    appendNumber: 0,
    entries: [entry],
  } as const
  assert(encodeMessage(message).includes(entry.bytes))
  const body = encoded(message)
  const read = decodeMessage(body)
  assert(typeof read !== 'string' && read.kind === 'append')
  assert.deepEqual(Buffer.from(read.entries[0]!.bytes), Buffer.from(entry.bytes))
  assert.equal(read.entries[0]!.bytes.buffer, body.buffer)
})

test('a message cut anywhere, or with a byte too much, is a defect', () => {
  fc.assert(
    fc.property(fc.oneof(plain, append), (message) => {
      const whole = encoded(message)
      for (let length = 0; length < whole.length; length += 1) {
        const cut = decodeMessage(whole.subarray(0, length))
        // An append may be cut between two entries and is then a shorter one; the frame around it says how long it is.
        if (typeof cut !== 'string')
          assert(cut.kind === 'append' && message.kind === 'append' && cut.entries.length < message.entries.length)
      }
      assert.equal(typeof decodeMessage(Buffer.concat([whole, Buffer.from([0])])), 'string')
    }),
    { numRuns: 50 },
  )
})

test('any bytes are a message or a defect, and never an exception', () => {
  const body = fc
    .tuple(fc.integer({ min: 0, max: 12 }), fc.uint8Array({ maxLength: 120 }))
    .map(([kind, rest]) => Buffer.from([kind, ...rest]))
  fc.assert(
    fc.property(body, (bytes) => {
      decodeMessage(bytes)
    }),
    { numRuns: 2000 },
  )
})

test('a flipped byte in an entry is found', () => {
  const entries = [makeEntry({ index: 1, term: 1, kind: 'command', payload: Buffer.from('insert') })]
  const body = encoded({
    kind: 'append',
    term: 1,
    prevLogIndex: 0,
    prevLogTerm: 0,
    leaderCommit: 0,
    readSequence: 0,
    appendNumber: 0,
    entries,
  })
  for (let at = 49; at < body.length; at += 1) {
    const flipped = Buffer.from(body)
    flipped[at]! ^= 0x10
    assert.equal(typeof decodeMessage(flipped), 'string', `byte ${at}`)
  }
})

const wrong: readonly [string, { indexes?: number[]; terms?: number[] }, string][] = [
  ['a gap before the first entry', { indexes: [9, 10] }, 'entries_not_in_order'],
  ['a gap between entries', { indexes: [8, 10] }, 'entries_not_in_order'],
  ['an entry twice', { indexes: [8, 8] }, 'entries_not_in_order'],
  ['a term that falls', { terms: [5, 4] }, 'entries_not_in_order'],
  ['a term below the one before', { terms: [2, 5] }, 'entries_not_in_order'],
  ["a term above the leader's", { terms: [5, 6] }, 'entry_of_a_later_term'],
]

for (const [name, { indexes = [8, 9], terms = [5, 5] }, defect] of wrong) {
  test(`an append with ${name} is refused`, () => {
    const entries = indexes.map((index, n) => makeEntry({ index, term: terms[n]!, kind: 'command', payload: new Uint8Array() }))
    const body = encoded({
      kind: 'append',
      term: 5,
      prevLogIndex: 7,
      prevLogTerm: 3,
      leaderCommit: 0,
      readSequence: 0,
      appendNumber: 0,
      entries,
    })
    assert.equal(decodeMessage(body), defect)
  })
}

test('numbers of more than 53 bits, booleans of 2 and unknown kinds are refused', () => {
  assert.equal(decodeMessage(Buffer.from([9, 0, 0x20, 0, 0, 0, 0, 0, 0])), 'number_too_large')
  assert.equal(decodeMessage(Buffer.from([4, 0, 0, 0, 0, 0, 0, 0, 1, 2])), 'not_a_boolean')
  assert.equal(decodeMessage(Buffer.from([12, 0, 0, 0, 0, 0, 0, 0, 1])), 'message_kind')
  assert.equal(decodeMessage(new Uint8Array()), 'body_cut')
})
