import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { WaitingRoom } from './waiting-room.ts'

test('whoever waits is told once: when its index is reached, or at its deadline', () => {
  const waiters = fc.array(fc.record({ index: fc.nat({ max: 20 }), deadlineAtMs: fc.nat({ max: 20 }) }), { maxLength: 30 })
  const steps = fc.array(fc.record({ isTime: fc.boolean(), to: fc.nat({ max: 20 }) }), { maxLength: 20 })
  fc.assert(
    fc.property(waiters, steps, (list, moves) => {
      const room = new WaitingRoom()
      const told = list.map((): boolean[] => [])
      for (const [n, waiter] of list.entries()) room.add({ ...waiter, end: (reached) => void told[n]!.push(reached) })
      const expected = list.map((): boolean[] => [])
      for (const { isTime, to } of moves) {
        if (isTime) room.expire(to)
        else room.reached(to)
        for (const [n, waiter] of list.entries()) {
          if (expected[n]!.length > 0) continue
          if (isTime && waiter.deadlineAtMs <= to) expected[n]!.push(false)
          if (!isTime && waiter.index <= to) expected[n]!.push(true)
        }
        assert.deepEqual(told, expected)
        assert.equal(room.count, expected.filter((one) => one.length === 0).length)
      }
    }),
  )
})

test('at the end everyone left is told', () => {
  const room = new WaitingRoom()
  const told: boolean[] = []
  for (const index of [3, 1, 2]) room.add({ index, deadlineAtMs: 9, end: (reached) => told.push(reached) })
  room.endAll()
  assert.deepEqual([told, room.count], [[false, false, false], 0])
})
