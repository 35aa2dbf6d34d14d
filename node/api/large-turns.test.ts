import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../replica/manual-clock.ts'
import { LargeTurns, smallBytesMax, turnBytesMax } from './large-turns.ts'

const large = turnBytesMax + 1

/** Notes who was let go. */
function world(): {
  clock: ManualClock
  turns: LargeTurns
  gone: string[]
  come: (name: string, bytes?: number, client?: string) => void
  over: Set<string>
} {
  const clock = new ManualClock()
  const turns = new LargeTurns(clock)
  const gone: string[] = []
  const over = new Set<string>()
  const come = (name: string, bytes = large, client = 'mallory'): void => {
    const turn = turns.next(client, bytes, () => over.has(name))
    if (turn === undefined) gone.push(name)
    else void turn.then(() => gone.push(name))
  }
  return { clock, turns, gone, come, over }
}

/** Who waits for a promise hears of it. */
async function settled(): Promise<void> {
  for (let n = 0; n < 5; n += 1) await Promise.resolve()
}

test('of large ones that have come in one turn of the loop one is let go in each', async () => {
  const { clock, turns, gone, come } = world()
  for (const name of ['a', 'b', 'c']) come(name)
  assert.deepEqual(gone, ['a'])
  assert.equal(turns.count, 2)
  // Everything that is to run soon runs between them: here nothing but they themselves.
  const seen: number[] = []
  clock.soon(() => seen.push(gone.length))
  clock.settle()
  await settled()
  assert.deepEqual(gone, ['a', 'b', 'c'])
  assert.equal(turns.count, 0)
  assert.deepEqual(seen, [1])
})

test('after a long stretch nobody is let go for as long as it took, and who comes meanwhile waits', async () => {
  const { clock, gone, come } = world()
  come('a')
  come('b')
  // What `a` did.
  clock.stall(300)
  clock.settle()
  come('c')
  clock.advance(299)
  await settled()
  assert.deepEqual(gone, ['a'])
  clock.advance(2)
  await settled()
  assert.deepEqual(gone, ['a', 'b', 'c'])
})

test('small ones never wait, and some that are not large go together', async () => {
  const { clock, gone, come } = world()
  come('large')
  come('small', smallBytesMax)
  assert.deepEqual(gone, ['large', 'small'])
  clock.settle()
  for (let n = 0; n < 5; n += 1) come(`middle ${n}`, turnBytesMax / 4)
  assert.deepEqual(gone.slice(2), ['middle 0', 'middle 1', 'middle 2', 'middle 3'])
  clock.settle()
  await settled()
  assert.equal(gone.at(-1), 'middle 4')
})

test('clients take turns, each in the order of coming', async () => {
  const { clock, gone, come } = world()
  for (const name of ['m1', 'm2', 'm3', 'm4']) come(name)
  for (const name of ['a1', 'a2']) come(name, large, 'alice')
  clock.settle()
  await settled()
  assert.deepEqual(gone, ['m1', 'm2', 'a1', 'm3', 'a2', 'm4'])
})

test('who is waited for by nobody any more is let go at the next turn, behind however many, and takes nothing of it', async () => {
  const { clock, turns, gone, come, over } = world()
  come('a1', large, 'alice')
  come('a2', large, 'alice')
  for (const name of ['m1', 'm2', 'm3', 'm4']) come(name)
  come('b1', large, 'bob')
  // What `a1` did.
  clock.stall(300)
  clock.settle()
  for (const name of ['m1', 'm3', 'm4', 'b1']) over.add(name)
  assert.equal(turns.count, 6)
  clock.advance(299)
  await settled()
  assert.deepEqual(gone, ['a1'])
  clock.advance(2)
  await settled()
  assert.deepEqual(gone, ['a1', 'm1', 'm3', 'm4', 'b1', 'a2', 'm2'])
  assert.equal(turns.count, 0)
})
