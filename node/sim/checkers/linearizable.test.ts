import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLinearizable, type RegisterOperation, type Timed } from './linearizable.ts'

const at = (began: number, ended: number, operation: RegisterOperation): Timed<RegisterOperation> => ({ began, ended, operation })
const write = (value: number): RegisterOperation => ({ kind: 'write', value })
const read = (value: number): RegisterOperation => ({ kind: 'read', value })
const cas = (expected: number, value: number, done: boolean | undefined): RegisterOperation => ({ kind: 'cas', expected, value, done })

test('one after the other, each sees the one before', () => {
  assert.equal(isLinearizable([at(1, 2, write(1)), at(3, 4, read(1)), at(5, 6, cas(1, 2, true)), at(7, 8, read(2))], 0), 'yes')
  assert.equal(isLinearizable([], 0), 'yes')
})

test('a read that misses an acknowledged write is stale', () => {
  assert.equal(isLinearizable([at(1, 2, write(1)), at(3, 4, read(0))], 0), 'no')
})

test('overlapping operations may stand in either order, but in one order for all', () => {
  const concurrent = [at(1, 10, write(1)), at(2, 9, write(2))]
  assert.equal(isLinearizable([...concurrent, at(11, 12, read(1))], 0), 'yes')
  assert.equal(isLinearizable([...concurrent, at(11, 12, read(2))], 0), 'yes')
  assert.equal(isLinearizable([...concurrent, at(11, 12, read(2)), at(13, 14, read(1))], 0), 'no')
})

test('a value may not go and come back', () => {
  assert.equal(isLinearizable([at(1, 20, write(1)), at(2, 3, read(1)), at(4, 5, read(0))], 0), 'no')
})

test('a write of unknown outcome may happen late, or never, but not be undone', () => {
  const unknown = at(1, Infinity, write(1))
  assert.equal(isLinearizable([unknown, at(2, 3, read(0)), at(4, 5, read(1))], 0), 'yes')
  assert.equal(isLinearizable([unknown, at(2, 3, read(0))], 0), 'yes')
  assert.equal(isLinearizable([unknown, at(2, 3, read(1)), at(4, 5, read(0))], 0), 'no')
})

test('a compare-and-set that was told it had failed has changed nothing', () => {
  assert.equal(isLinearizable([at(1, 2, write(1)), at(3, 4, cas(0, 5, false)), at(5, 6, read(5))], 0), 'no')
  assert.equal(isLinearizable([at(1, 2, write(1)), at(3, 4, cas(1, 5, false))], 0), 'no')
  assert.equal(isLinearizable([at(1, 2, cas(0, 5, true)), at(3, 4, cas(0, 6, true))], 0), 'no')
  assert.equal(isLinearizable([at(1, Infinity, cas(0, 5, undefined)), at(3, 4, read(5))], 0), 'yes')
})

test('a failed compare-and-set may have met a write of unknown outcome that nobody read', () => {
  assert.equal(isLinearizable([at(1, 2, write(1)), at(3, Infinity, write(2)), at(4, 5, cas(1, 3, false)), at(6, 7, write(4))], 0), 'yes')
})

test('a value that nobody wrote is found out', () => {
  assert.equal(isLinearizable([at(1, 2, read(7))], 0), 'no')
})
