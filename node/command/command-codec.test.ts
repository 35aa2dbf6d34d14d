import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeCommand, encodeCommand } from './command-codec.ts'
import { seedBytes } from './entry-moment.ts'
import type { Command, Parameters, SqlValue } from './command.ts'

const seed = new Uint8Array(seedBytes)
const integer64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  integer64,
  fc.string({ unit: 'binary' }),
  fc.uint8Array(),
)
const parameters: fc.Arbitrary<Parameters> = fc.oneof(
  fc.array(value).map((values) => ({ kind: 'positional' as const, values })),
  fc
    .uniqueArray(fc.tuple(fc.string(), value), { selector: ([name]) => name })
    .map((pairs) => ({ kind: 'named' as const, values: new Map(pairs) })),
)
const commandOf = (statementsMax: number): fc.Arbitrary<Command> =>
  fc.record({
    kind: fc.constantFrom('execute', 'request'),
    statements: fc.array(fc.record({ sql: fc.string({ unit: 'binary' }), parameters }), { maxLength: statementsMax }),
    transaction: fc.boolean(),
    proposedAtMs: fc.nat(2 ** 31 - 1).map((seconds) => seconds * 1000),
    seed: fc.uint8Array({ minLength: seedBytes, maxLength: seedBytes }),
  })

const command = commandOf(8)
const shortCommand = commandOf(2)

test('what is encoded comes back, whatever the values', () => {
  fc.assert(
    fc.property(command, (original) => {
      const decoded = decodeCommand(encodeCommand(original))
      assert(decoded.ok)
      const statements = original.statements.map((statement) => ({ ...statement }))
      assert.deepEqual({ ...decoded.value }, { ...original, statements })
    }),
  )
})

test('no bytes at all make the decoder throw or give anything but a command or a defect', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      bytes[0] = 1
      decodeCommand(bytes)
    }),
    { numRuns: 5000 },
  )
})

test('a command that is cut anywhere, or has a byte too many, is refused', () => {
  fc.assert(
    fc.property(shortCommand, (original) => {
      const bytes = encodeCommand(original)
      for (let length = 0; length < bytes.length; length += 1) assert.equal(decodeCommand(bytes.subarray(0, length)).ok, false)
      assert.deepEqual(decodeCommand(new Uint8Array([...bytes, 0])), { ok: false, problem: 'command_trailing' })
    }),
    { numRuns: 20, endOnFailure: true },
  )
})

test('a flipped bit gives another command or a defect, never an exception and never endless work', () => {
  fc.assert(
    fc.property(command, fc.nat(), fc.nat(7), (original, at, bit) => {
      const bytes = encodeCommand(original)
      bytes[at % bytes.length]! ^= 1 << bit
      decodeCommand(bytes)
    }),
    { numRuns: 3000 },
  )
})

test('a count that the bytes cannot hold is refused before anything is allocated for it', () => {
  const bytes = encodeCommand({ kind: 'execute', statements: [], transaction: false, proposedAtMs: 0, seed })
  new DataView(bytes.buffer).setUint32(11 + seedBytes, 0xffffffff)
  assert.deepEqual(decodeCommand(bytes), { ok: false, problem: 'command_cut' })
})

test('a newer version is told apart from bytes that are no command', () => {
  assert.deepEqual(decodeCommand(new Uint8Array([2, 0, 0])), { ok: false, problem: 'command_version' })
  assert.deepEqual(decodeCommand(new Uint8Array([0, 0, 0])), { ok: false, problem: 'command_shape' })
  assert.deepEqual(decodeCommand(new Uint8Array()), { ok: false, problem: 'command_cut' })
})

test('minus zero, infinities and the ends of 64 bits survive; an integer beyond them is a bug of the caller', () => {
  const values: SqlValue[] = [-0, Infinity, -Infinity, Number.NaN, 2n ** 63n - 1n, -(2n ** 63n), 2 ** 53, 1e300]
  const of = (one: SqlValue[]): Command => ({
    kind: 'execute',
    statements: [{ sql: 'x', parameters: { kind: 'positional', values: one } }],
    transaction: false,
    proposedAtMs: 0,
    seed,
  })
  const decoded = decodeCommand(encodeCommand(of(values)))
  assert(decoded.ok)
  assert.deepEqual(decoded.value, of(values))
  assert.throws(() => encodeCommand(of([2n ** 63n])), RangeError)
})

test('a name given twice is refused', () => {
  const bytes = encodeCommand({
    kind: 'execute',
    statements: [
      {
        sql: '',
        parameters: {
          kind: 'named',
          values: new Map([
            ['a', null],
            ['b', null],
          ]),
        },
      },
    ],
    transaction: false,
    proposedAtMs: 0,
    seed,
  })
  bytes[bytes.lastIndexOf('b'.charCodeAt(0))] = 'a'.charCodeAt(0)
  assert.deepEqual(decodeCommand(bytes), { ok: false, problem: 'command_shape' })
})
