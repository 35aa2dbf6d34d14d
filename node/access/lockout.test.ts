import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lockout } from './lockout.ts'

const limits = { failuresMax: 3, lockMsMin: 1000, lockMsMax: 4000, forgetMs: 60_000, entriesMax: 10 }

function world(): { lockout: Lockout; pass: (ms: number) => void; fail: (user: string, address: string) => boolean } {
  let nowMs = 5
  const lockout = new Lockout({ monotonicMs: () => nowMs, limits })
  return {
    lockout,
    pass: (ms) => void (nowMs += ms),
    fail: (user, address) => lockout.begin(user, address) && lockout.end(user, address, 'wrong'),
  }
}

test('after three failures in a row the pair of user and address is locked, and freed when the time is over', () => {
  const { lockout, pass, fail } = world()
  assert.deepEqual([fail('bob', 'a'), fail('bob', 'a'), lockout.isLocked('bob', 'a'), fail('bob', 'a')], [false, false, false, true])
  assert.equal(lockout.isLocked('bob', 'a'), true)
  assert.equal(lockout.begin('bob', 'a'), false)
  pass(999)
  assert.equal(lockout.isLocked('bob', 'a'), true)
  pass(1)
  assert.equal(lockout.isLocked('bob', 'a'), false)
})

test('an attacker cannot lock a user out from another address, nor another user out from the same one', () => {
  const { lockout, fail } = world()
  for (let i = 0; i < 50; i += 1) fail('bob', '192.0.2.1')
  assert.equal(lockout.isLocked('bob', '192.0.2.1'), true)
  assert.equal(lockout.isLocked('bob', '192.0.2.2'), false)
  assert.equal(lockout.isLocked('mary', '192.0.2.1'), false)
})

test('each failure after a lock-out makes the next one twice as long, up to the longest', () => {
  const { lockout, pass, fail } = world()
  for (let i = 0; i < 3; i += 1) fail('bob', 'a')
  for (const lengthMs of [2000, 4000, 4000]) {
    pass(4000)
    assert.equal(fail('bob', 'a'), true)
    pass(lengthMs - 1)
    assert.equal(lockout.isLocked('bob', 'a'), true)
    pass(1)
    assert.equal(lockout.isLocked('bob', 'a'), false)
  }
})

test('the right password forgets the failures before it', () => {
  const { lockout, fail } = world()
  fail('bob', 'a')
  fail('bob', 'a')
  assert.equal(lockout.begin('bob', 'a'), true)
  lockout.end('bob', 'a', 'right')
  fail('bob', 'a')
  fail('bob', 'a')
  assert.equal(lockout.isLocked('bob', 'a'), false)
})

test('failures are forgotten after a quiet time', () => {
  const { lockout, pass, fail } = world()
  fail('bob', 'a')
  fail('bob', 'a')
  pass(60_000)
  fail('bob', 'a')
  assert.equal(lockout.isLocked('bob', 'a'), false)
})

test('a burst of guesses that are checked at the same time is cut at the limit', () => {
  const { lockout } = world()
  const admitted = Array.from({ length: 100 }, () => lockout.begin('bob', 'a')).filter(Boolean).length
  assert.equal(admitted, 3)
})

test('a check that could not be carried out counts for nothing', () => {
  const { lockout } = world()
  for (let i = 0; i < 10; i += 1) {
    assert.equal(lockout.begin('bob', 'a'), true)
    lockout.end('bob', 'a', 'undecided')
  }
  assert.equal(lockout.size, 0)
})

test('the table is bounded: a flood of names pushes out the quietest first', () => {
  const { lockout, pass, fail } = world()
  for (let i = 0; i < 3; i += 1) fail('bob', 'a')
  for (let i = 0; i < 9; i += 1) {
    pass(1)
    fail(`user${i}`, 'a')
  }
  assert.equal(lockout.isLocked('bob', 'a'), true)
  for (let i = 0; i < 1000; i += 1) fail(`other${i}`, 'a')
  assert.equal(lockout.size, 10)
})
