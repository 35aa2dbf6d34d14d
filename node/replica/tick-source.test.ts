import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './manual-clock.ts'
import { TickSource } from './tick-source.ts'

function sourceOn(clock: ManualClock): TickSource {
  return new TickSource({ clock, tickMs: 100, owedMax: 10, onOwed: () => {} })
}

test('one tick is owed for each interval that has passed', () => {
  const clock = new ManualClock()
  const ticks = sourceOn(clock)
  clock.advance(350)
  assert.equal(ticks.owed, 3)
  assert.deepEqual([ticks.take(), ticks.take(), ticks.take(), ticks.take()], [true, true, true, false])
})

test('after standing still for an hour at most one election’s worth is owed', () => {
  const clock = new ManualClock()
  const ticks = sourceOn(clock)
  clock.stall(3_600_000)
  assert.equal(ticks.owed, 10)
  clock.advance(100)
  assert.equal(ticks.owed, 10)
})

test('a timer that is always a little late loses no tick over time', () => {
  const clock = new ManualClock()
  const ticks = sourceOn(clock)
  let paid = 0
  for (let n = 0; n < 100; n += 1) {
    clock.stall(130)
    while (ticks.take()) paid += 1
  }
  assert.equal(paid, 130)
})

test('after close nothing more is counted', () => {
  const clock = new ManualClock()
  const ticks = sourceOn(clock)
  ticks.close()
  clock.advance(1_000)
  assert.equal(ticks.owed, 0)
})

test('a wall clock that is put forward or back owes nothing and takes nothing', () => {
  const clock = new ManualClock()
  let jumpMs = 0
  clock.wallMs = () => 1_700_000_000_000 + clock.monotonicMs() + jumpMs
  const ticks = new TickSource({ clock, tickMs: 50, owedMax: 10, onOwed: () => {} })
  for (jumpMs of [3_600_000, -3_600_000]) {
    clock.advance(50)
    assert.equal(ticks.owed, 1)
    ticks.take()
  }
  ticks.close()
})
