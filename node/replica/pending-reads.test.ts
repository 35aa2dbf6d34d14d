import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PendingReads, type ReadEnd } from './pending-reads.ts'

function reads() {
  const pending = new PendingReads()
  const ends = new Map<string, ReadEnd>()
  const add = (name: string, deadlineAtMs = 1_000): void =>
    pending.add({
      deadlineAtMs,
      end: (end) => {
        assert(!ends.has(name), `${name} ended twice`)
        ends.set(name, end)
      },
    })
  return { pending, ends, add }
}

test('those that have gathered share one question, and its answer', () => {
  const { pending, ends, add } = reads()
  assert.equal(pending.ask(1), false)
  add('a')
  add('b')
  assert.equal(pending.ask(2), true)
  add('c')
  pending.end(2, { kind: 'confirmed', index: 7 })
  assert.deepEqual([...ends.keys(), pending.count], ['a', 'b', 1])
})

test('each ends at its own deadline, asked or not, whatever the order in which they came', () => {
  const { pending, ends, add } = reads()
  add('late', 300)
  add('early', 100)
  pending.ask(1)
  add('gathering', 200)
  const expired = (nowMs: number) => {
    pending.expire(nowMs)
    return [...ends.keys()]
  }
  assert.deepEqual(expired(99), [])
  assert.deepEqual(expired(100), ['early'])
  assert.deepEqual(expired(250), ['early', 'gathering'])
  assert.deepEqual(expired(299), ['early', 'gathering'])
  assert.deepEqual(expired(300), ['early', 'gathering', 'late'])
  assert.equal(pending.count, 0)
  pending.end(1, { kind: 'confirmed', index: 7 })
  add('next', 400)
  assert.deepEqual(expired(400).at(-1), 'next')
})
