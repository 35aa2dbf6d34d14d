import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Progress } from './progress.ts'
import { virtualLimits } from './virtual-node.ts'

const begin = (nextIndex = 11) => new Progress({ nextIndex, heardAtTick: 0, limits: virtualLimits })

test('a follower is probed with one message at a time until it answers', () => {
  const progress = begin()
  assert.equal(progress.canSend, true)
  progress.sent({ lastIndex: 12, bytes: 10 })
  assert.equal(progress.canSend, false)
  assert.equal(progress.nextIndex, 11)
  progress.accepted(12)
  assert.equal(progress.flow.kind, 'replicate')
  assert.deepEqual([progress.matchIndex, progress.nextIndex], [12, 13])
})

test('a replicating follower gets the next entries before the last ones are confirmed', () => {
  const progress = begin()
  progress.accepted(10)
  progress.sent({ lastIndex: 12, bytes: 10 })
  progress.sent({ lastIndex: 14, bytes: 10 })
  assert.deepEqual([progress.matchIndex, progress.nextIndex], [10, 15])
})

test('a refusal while probing goes back to the hint, one of another probe changes nothing', () => {
  const progress = begin()
  progress.refused({ refusedIndex: 7, retryAfter: 3 })
  assert.equal(progress.nextIndex, 11)
  progress.refused({ refusedIndex: 10, retryAfter: 4 })
  assert.equal(progress.nextIndex, 5)
  progress.refused({ refusedIndex: 4, retryAfter: 9 })
  assert.equal(progress.nextIndex, 4, 'a refused index is never tried again')
})

test('a refusal while replicating goes back to what is certain, an old one changes nothing', () => {
  const progress = begin()
  progress.accepted(10)
  progress.sent({ lastIndex: 14, bytes: 10 })
  progress.refused({ refusedIndex: 10, retryAfter: 2 })
  assert.equal(progress.flow.kind, 'replicate')
  progress.refused({ refusedIndex: 14, retryAfter: 2 })
  assert.deepEqual([progress.flow.kind, progress.nextIndex, progress.canSend], ['probe', 11, true])
})

test('what a follower has confirmed is never taken back', () => {
  const progress = begin()
  progress.accepted(10)
  progress.accepted(6)
  assert.equal(progress.matchIndex, 10)
  progress.refused({ refusedIndex: 99, retryAfter: 0 })
  progress.refused({ refusedIndex: 10, retryAfter: 0 })
  assert.equal(progress.nextIndex, 11)
})

test('after a reset connection nothing is sent until the follower has answered a heartbeat', () => {
  const progress = begin()
  progress.accepted(10)
  progress.sent({ lastIndex: 14, bytes: 10 })
  progress.unreachable()
  assert.deepEqual([progress.flow.kind, progress.nextIndex, progress.canSend], ['probe', 11, false])
  progress.accepted(10)
  assert.equal(progress.canSend, true)
})

test('one who needs a snapshot gets nothing until it has reached the base', () => {
  const progress = begin()
  progress.needSnapshot(20)
  progress.unreachable()
  progress.accepted(5)
  progress.refused({ refusedIndex: 20, retryAfter: 4 })
  assert.deepEqual([progress.flow.kind, progress.canSend], ['snapshot', false])
  progress.accepted(20)
  assert.deepEqual([progress.flow.kind, progress.nextIndex], ['replicate', 21])
})

test('the base moves on while a snapshot is under way: it is reached when the newest is', () => {
  const progress = begin()
  progress.needSnapshot(20)
  progress.needSnapshot(30)
  progress.accepted(20)
  assert.equal(progress.flow.kind, 'snapshot')
  progress.accepted(30)
  assert.deepEqual([progress.flow.kind, progress.nextIndex], ['replicate', 31])
})

test('what was lost is found out anew, and until it is trusted again its word counts for nothing', () => {
  const progress = begin()
  progress.accepted(10)
  progress.readSequence = 4
  progress.lost({ trust: 'untrusted', firstValidNumber: 9, retryAfter: 6 })
  assert.deepEqual([progress.flow.kind, progress.matchIndex, progress.nextIndex, progress.canSend], ['probe', 0, 7, true])
  progress.accepted(12)
  assert.deepEqual([progress.matchIndex, progress.countedIndex, progress.countedReadSequence], [12, 0, 0])
  progress.trust = 'trusted'
  assert.equal(progress.countedIndex, 12)
})
