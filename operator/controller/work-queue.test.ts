import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as assertProperty, double, integer, property } from 'fast-check'
import { jitteredBackOffMs } from '../../runtime/back-off.ts'
import { ManualClock } from './manual-clock.ts'
import { WorkQueue, workBackOff } from './work-queue.ts'
import type { WorkOutcome } from './work-queue.ts'

interface Run {
  readonly key: string
  readonly end: (outcome: WorkOutcome) => void
}

/** A queue whose runs end when the test says so. */
function heldQueue(workers: number): { readonly clock: ManualClock; readonly queue: WorkQueue; readonly runs: Run[] } {
  const clock = new ManualClock()
  const runs: Run[] = []
  const work = (key: string): Promise<WorkOutcome> => new Promise((end) => runs.push({ key, end }))
  return { clock, runs, queue: new WorkQueue({ clock, random: () => 1, workers, work }) }
}

const done: WorkOutcome = { kind: 'done' }

test('a key that is added many times before its turn runs once', async () => {
  const { clock, queue, runs } = heldQueue(1)
  queue.add('first')
  for (let time = 0; time < 5; time += 1) queue.add('second')
  await clock.settle()
  runs[0]?.end(done)
  await clock.settle()
  runs[1]?.end(done)
  await clock.settle()
  assert.deepEqual(
    runs.map((run) => run.key),
    ['first', 'second'],
  )
})

test('a key that is added while it runs runs once more afterwards, never twice at a time', async () => {
  const { clock, queue, runs } = heldQueue(4)
  queue.add('a')
  await clock.settle()
  queue.add('a')
  queue.add('a')
  await clock.settle()
  assert.equal(runs.length, 1)
  runs[0]?.end(done)
  await clock.settle()
  assert.equal(runs.length, 2)
  runs[1]?.end(done)
  await clock.settle()
  assert.equal(runs.length, 2)
})

test('no more keys run at a time than there are workers, and all have their turn', async () => {
  const { clock, queue, runs } = heldQueue(2)
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key)
  await clock.settle()
  assert.deepEqual([queue.active, queue.depth], [2, 2])
  for (let at = 0; at < 4; at += 1) {
    runs[at]?.end(done)
    await clock.settle()
  }
  assert.deepEqual(
    runs.map((run) => run.key),
    ['a', 'b', 'c', 'd'],
  )
})

test('a failed key comes back after a delay that doubles up to five minutes, and begins anew after a success', async () => {
  const clock = new ManualClock()
  const atMs: number[] = []
  let outcome: WorkOutcome = { kind: 'failed' }
  const work = async (): Promise<WorkOutcome> => {
    atMs.push(clock.monotonicMs())
    return outcome
  }
  const queue = new WorkQueue({ clock, random: () => 1, workers: 1, work })
  queue.add('a')
  await clock.advance(3_600_000)
  const gaps = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0))
  assert.deepEqual(gaps.slice(0, 5), [5, 10, 20, 40, 80])
  assert.equal(gaps.at(-1), workBackOff.maxMs)
  outcome = done
  await clock.advance(workBackOff.maxMs)
  outcome = { kind: 'failed' }
  atMs.length = 0
  queue.add('a')
  await clock.advance(5)
  assert.equal(atMs.length, 2)
  await queue.close()
})

test('an outcome `again` brings the key back after its time, an event sooner', async () => {
  const clock = new ManualClock()
  const atMs: number[] = []
  const work = async (): Promise<WorkOutcome> => {
    atMs.push(clock.monotonicMs())
    return { kind: 'again', afterMs: 1_000 }
  }
  const queue = new WorkQueue({ clock, random: () => 1, workers: 1, work })
  queue.add('a')
  await clock.advance(1_500)
  queue.add('a')
  await clock.advance(1_200)
  assert.deepEqual(atMs, [0, 1_000, 1_500, 2_500])
  await queue.close()
})

test('of several delays of one key the earliest counts', async () => {
  const { clock, queue, runs } = heldQueue(1)
  queue.addAfter('a', 500)
  queue.addAfter('a', 100)
  queue.addAfter('a', 900)
  await clock.advance(100)
  assert.equal(runs.length, 1)
  runs[0]?.end(done)
  await clock.advance(10_000)
  assert.equal(runs.length, 1)
})

test('close waits for what runs, and nothing runs afterwards', async () => {
  const { clock, queue, runs } = heldQueue(1)
  queue.add('running')
  queue.add('waiting')
  queue.addAfter('delayed', 10)
  await clock.settle()
  let closed = false
  const closing = queue.close().then(() => (closed = true))
  await clock.settle()
  assert.equal(closed, false)
  runs[0]?.end({ kind: 'again', afterMs: 1 })
  await closing
  queue.add('late')
  await clock.advance(1_000)
  assert.equal(runs.length, 1)
  assert.equal(clock.pending, 0)
})

test('every back-off lies between half of its full delay and all of it, and never above its maximum', () => {
  const random = double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  const everyDelay = property(integer({ min: 1, max: 2_000 }), random, (failures, chance) => {
    const full = Math.min(workBackOff.maxMs, workBackOff.firstMs * 2 ** (failures - 1))
    const delay = jitteredBackOffMs(workBackOff, failures, () => chance)
    assert.ok(delay >= full / 2 && delay <= full)
  })
  assertProperty(everyDelay, { seed: 3 })
})
