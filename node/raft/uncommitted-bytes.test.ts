import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UncommittedBytes } from './uncommitted-bytes.ts'

test('bytes are counted from the first own entry until it is committed', () => {
  const bytes = new UncommittedBytes(5)
  for (const size of [10, 20, 30]) bytes.add(size)
  bytes.commitTo(4)
  assert.equal(bytes.total, 60)
  bytes.commitTo(6)
  assert.equal(bytes.total, 30)
  bytes.commitTo(7)
  assert.equal(bytes.total, 0)
})

test('it stays exact over many entries', () => {
  const bytes = new UncommittedBytes(1)
  for (let index = 1; index <= 10_000; index += 1) {
    bytes.add(3)
    if (index % 7 === 0) bytes.commitTo(index - 5)
  }
  assert.equal(bytes.total, (10_000 - (9_996 - 5)) * 3)
  bytes.commitTo(10_000)
  assert.equal(bytes.total, 0)
})
