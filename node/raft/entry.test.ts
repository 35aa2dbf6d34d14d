import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { entryBytesMax, entryHeaderBytes, makeEntry, readEntry, readUint53, writeUint53, type EntryKind } from './entry.ts'

const kinds: readonly EntryKind[] = ['command', 'noop', 'membership']
const borders = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, 2 ** 53 - 1]
const numbers = fc.oneof(fc.constantFrom(...borders), fc.maxSafeNat())

test('an entry reads back as it was made, around every border of 32 and 53 bits', () => {
  fc.assert(
    fc.property(numbers, numbers, fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 64 }), (index, term, kind, payload) => {
      const entry = makeEntry({ index, term, kind, payload })
      assert.deepEqual(readEntry(entry.bytes, 0, { owned: true }), entry)
    }),
  )
})

test('a number that is no unsigned 53-bit integer is never written, and one beyond is never read', () => {
  const view = new DataView(new ArrayBuffer(8))
  for (const wrong of [-1, 0.5, 2 ** 53, NaN, Infinity]) assert.throws(() => writeUint53(view, 0, wrong), RangeError)
  view.setUint32(0, 2 ** 21)
  assert.throws(() => readUint53(view, 0), RangeError)
})

test('any flipped bit is noticed', () => {
  const { bytes } = makeEntry({ index: 7, term: 3, kind: 'command', payload: Buffer.from('some payload') })
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const damaged = bytes.slice()
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(typeof readEntry(damaged, 0, { owned: true }), 'string', `bit ${bit}`)
  }
})

test('a record cut anywhere is called cut', () => {
  const { bytes } = makeEntry({ index: 7, term: 3, kind: 'command', payload: Buffer.from('some payload') })
  for (let length = 0; length < bytes.length; length += 1)
    assert.equal(readEntry(bytes.subarray(0, length), 0, { owned: true }), 'entry_cut')
})

test('zeros and lengths beyond the limit are no records', () => {
  assert.equal(readEntry(new Uint8Array(64), 0, { owned: true }), 'entry_length')
  const huge = new Uint8Array(entryHeaderBytes)
  new DataView(huge.buffer).setUint32(0, entryBytesMax + 1)
  assert.equal(readEntry(huge, 0, { owned: true }), 'entry_length')
})

test('an entry read from a buffer that is used again keeps its bytes', () => {
  const { bytes } = makeEntry({ index: 1, term: 1, kind: 'command', payload: Buffer.from('keep') })
  const pool = bytes.slice()
  const kept = readEntry(pool, 0, { owned: false })
  pool.fill(0xff)
  assert(typeof kept !== 'string')
  assert.equal(Buffer.from(kept.payload).toString(), 'keep')
})
