import assert from 'node:assert/strict'
import { test } from 'node:test'
import { member, ScriptedReplica } from '../api/scripted-node.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { keepLinksWarm } from './warm-links.ts'

test('every other voter is reached at once and now and then, one life sign at a time, and nobody by a removed node', async () => {
  const clock = new ManualClock()
  const replica = new ScriptedReplica('n1', 'n2', [
    member('n1'),
    member('n2'),
    member('n3'),
    member('n4', 'learner'),
    member('n5', 'non-voter'),
  ])
  const reached: string[] = []
  let answer = (): void => {}
  const reach = ({ id }: { readonly id: string }): Promise<void> => {
    reached.push(id)
    return id === 'n2' ? Promise.resolve() : new Promise((resolve) => (answer = resolve))
  }
  const stop = keepLinksWarm({ replica, reach, clock })
  assert.deepEqual(reached, ['n2', 'n3'])
  await new Promise(setImmediate)
  clock.advance(5_000)
  assert.deepEqual(reached, ['n2', 'n3', 'n2'], 'n3 has not answered yet')
  answer()
  await new Promise(setImmediate)
  clock.advance(5_000)
  assert.deepEqual(reached, ['n2', 'n3', 'n2', 'n2', 'n3'])
  await new Promise(setImmediate)
  replica.itsStanding = 'removed'
  clock.advance(5_000)
  assert.equal(reached.length, 5)
  stop()
})
