import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Inflights } from './inflights.ts'

const limits = { messagesMax: 4, bytesMax: 100 }

test('the window is full by messages or by bytes', () => {
  const byCount = new Inflights(limits)
  for (let n = 1; n <= 4; n += 1) byCount.add({ lastIndex: n, bytes: 1 })
  assert.equal(byCount.full, true)
  const byBytes = new Inflights(limits)
  byBytes.add({ lastIndex: 1, bytes: 99 })
  assert.equal(byBytes.full, false)
  byBytes.add({ lastIndex: 2, bytes: 500 })
  assert.equal(byBytes.full, true)
})

test('a confirmation frees all messages that end there or before, and their bytes', () => {
  const window = new Inflights(limits)
  for (const lastIndex of [3, 6, 9]) window.add({ lastIndex, bytes: 30 })
  window.freeTo(7)
  assert.deepEqual([window.count, window.bytes], [1, 30])
  window.freeTo(9)
  assert.deepEqual([window.count, window.bytes, window.full], [0, 0, false])
})

test('to send into a full window, or backwards, is a bug', () => {
  const window = new Inflights({ messagesMax: 1, bytesMax: 100 })
  window.add({ lastIndex: 5, bytes: 1 })
  assert.throws(() => window.add({ lastIndex: 6, bytes: 1 }))
  const other = new Inflights(limits)
  other.add({ lastIndex: 5, bytes: 1 })
  assert.throws(() => other.add({ lastIndex: 5, bytes: 1 }))
})

test('whatever is sent and confirmed, the window never leaks', () => {
  const steps = fc.array(fc.record({ isSend: fc.boolean(), amount: fc.nat({ max: 60 }) }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (list) => {
      const window = new Inflights(limits)
      let open: { lastIndex: number; bytes: number }[] = []
      let lastIndex = 0
      for (const { isSend, amount } of list) {
        if (isSend && !window.full) {
          lastIndex += 1 + (amount % 3)
          open.push({ lastIndex, bytes: amount })
          window.add({ lastIndex, bytes: amount })
        }
        if (!isSend) {
          window.freeTo(amount)
          open = open.filter((flight) => flight.lastIndex > amount)
        }
        assert.equal(window.count, open.length)
        assert.equal(
          window.bytes,
          open.reduce((sum, flight) => sum + flight.bytes, 0),
        )
      }
    }),
  )
})
