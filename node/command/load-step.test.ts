import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCommand } from './command-codec.ts'
import { decodeLoadStep, encodeLoadStep, isLoadStep, type LoadStep } from './load-step.ts'

const id = '00112233445566778899aabbccddeeff'
const steps: readonly LoadStep[] = [
  { kind: 'load-begin', id, bytes: 200 * 2 ** 20 },
  { kind: 'load-chunk', id, offset: 0, data: new Uint8Array([1, 2, 3]) },
  { kind: 'load-chunk', id, offset: 2 ** 40, data: new Uint8Array(0) },
  { kind: 'load-end', id, bytes: 3, hash: 'ab'.repeat(32), onto: 'anything' },
  { kind: 'load-end', id, bytes: 3, hash: 'ab'.repeat(32), onto: 'nothing' },
  { kind: 'load-abort', id },
]

test('a step is read back as it was written', () => {
  for (const step of steps) {
    const bytes = encodeLoadStep(step)
    assert(isLoadStep(bytes))
    const decoded = decodeLoadStep(bytes)
    assert(decoded.ok)
    assert.deepEqual({ ...decoded.value, ...('data' in decoded.value ? { data: Uint8Array.from(decoded.value.data) } : {}) }, step)
  }
})

test('a program that knows commands only stops at a step instead of skipping it', () => {
  const decoded = decodeCommand(encodeLoadStep({ kind: 'load-abort', id }))
  assert(!decoded.ok)
  assert.equal(decoded.problem, 'command_version')
})

test('bytes that are no step are told from a step of a later version', () => {
  const bytes = encodeLoadStep({ kind: 'load-end', id, bytes: 3, hash: 'ab'.repeat(32), onto: 'anything' })
  const problemOf = (changed: Uint8Array): unknown => {
    const decoded = decodeLoadStep(changed)
    return decoded.ok ? 'ok' : decoded.problem
  }
  assert.equal(problemOf(bytes.subarray(0, 10)), 'command_cut')
  assert.equal(problemOf(bytes.subarray(0, bytes.length - 1)), 'command_cut')
  assert.equal(problemOf(Buffer.concat([bytes, new Uint8Array(1)])), 'command_trailing')
  assert.equal(problemOf(Buffer.concat([bytes.subarray(0, 1), new Uint8Array([3]), bytes.subarray(2)])), 'command_version')
  assert.equal(problemOf(Buffer.concat([bytes.subarray(0, 1), new Uint8Array([2]), bytes.subarray(2)])), 'command_shape')
  const onto = encodeLoadStep({ kind: 'load-end', id, bytes: 3, hash: 'ab'.repeat(32), onto: 'nothing' })
  assert.equal(onto[1], 2, 'a program that does not know the condition stops')
  assert.equal(problemOf(Buffer.concat([onto.subarray(0, 1), new Uint8Array([1]), onto.subarray(2)])), 'command_shape')
  assert.equal(problemOf(Buffer.concat([bytes.subarray(0, 2), new Uint8Array([9]), bytes.subarray(3)])), 'command_shape')
  const negative = encodeLoadStep({ kind: 'load-begin', id, bytes: -1 })
  assert.equal(problemOf(negative), 'command_shape')
  assert.throws(() => encodeLoadStep({ kind: 'load-abort', id: 'x' }), RangeError)
})
