import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WireReader, WireWriter } from './wire-bytes.ts'

const field = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('u53' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme', maxLength: 200 }) }),
  fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 300 }) }),
)

/** What is read back of a field that was written. */
function readBack(reader: WireReader, { kind, value }: typeof field extends fc.Arbitrary<infer Field> ? Field : never): unknown {
  if (kind === 'bytes') return Uint8Array.from(reader.bytes(value.length))
  return reader[kind]()
}

function write(writer: WireWriter, one: Parameters<typeof readBack>[1]): void {
  if (one.kind === 'u8') writer.u8(one.value)
  else if (one.kind === 'u32') writer.u32(one.value)
  else if (one.kind === 'u53') writer.u53(one.value)
  else if (one.kind === 'bool') writer.bool(one.value)
  else if (one.kind === 'text') writer.text(one.value)
  else writer.bytes(one.value)
}

test('fields come out as they went in, in one piece or in many, and none is written over by the next', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 60 }), fc.array(field, { maxLength: 60 }), (fields, others) => {
      const writer = new WireWriter()
      for (const one of fields) write(writer, one)
      const parts = writer.parts()
      const another = new WireWriter()
      for (const one of others) write(another, one)
      another.parts()
      const reader = new WireReader(Buffer.concat(parts))
      for (const one of fields) assert.deepEqual(readBack(reader, one), one.value)
      assert.equal(reader.end(), undefined)
    }),
  )
})

test('a number that has no place is refused before it is written', () => {
  for (const value of [-1, 2 ** 53, 0.5, Number.NaN]) assert.throws(() => new WireWriter().u53(value), RangeError)
  for (const value of [-1, 256]) assert.throws(() => new WireWriter().u8(value), RangeError)
})

test('a text that begins with a byte order mark keeps it', () => {
  assert.equal(new WireReader(new WireWriter().text('\uFEFFa').concat()).text(), '\uFEFFa')
})
