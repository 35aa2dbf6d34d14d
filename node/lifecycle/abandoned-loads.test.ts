import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { ok } from '../../runtime/result.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { AbandonedLoads, type AbandonedLoadsOptions } from './abandoned-loads.ts'

class Scene {
  readonly clock = new ManualClock()
  readonly proposed: string[] = []
  leads = true
  room: ReturnType<AbandonedLoadsOptions['roomLeft']> = { load: undefined, isWorthVacuum: false }
  readonly loads = new AbandonedLoads({
    door: {
      leads: () => this.leads,
      propose: (payload) => {
        this.proposed.push(Buffer.from(payload).toString())
        return Promise.resolve(ok({ index: 1, term: 1, outcome: undefined }))
      },
    },
    roomLeft: () => this.room,
    encode: { abort: (load) => Buffer.from(`abort ${load}`), vacuum: () => Buffer.from('vacuum') },
    clock: this.clock,
    logger: makeLogger({ level: 'silent' }),
  })

  async minutes(count: number): Promise<void> {
    for (let minute = 0; minute < count; minute += 1) {
      this.clock.advance(60_000)
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
    }
  }
}

test('a load without progress for ten minutes is given up by the leader, one that goes on is not', async () => {
  const scene = new Scene()
  for (let received = 0; received < 30; received += 1) {
    scene.room = { load: { id: 'one', received }, isWorthVacuum: false }
    await scene.minutes(9)
  }
  assert.deepEqual(scene.proposed, [])
  await scene.minutes(2)
  assert.deepEqual(scene.proposed, ['abort one'])
  scene.loads.close()
})

test('another load, or another leader, begins to wait anew', async () => {
  const scene = new Scene()
  scene.room = { load: { id: 'one', received: 5 }, isWorthVacuum: false }
  await scene.minutes(9)
  scene.room = { load: { id: 'two', received: 5 }, isWorthVacuum: false }
  await scene.minutes(9)
  scene.leads = false
  await scene.minutes(20)
  scene.leads = true
  await scene.minutes(10)
  assert.deepEqual(scene.proposed, [])
  await scene.minutes(1)
  assert.deepEqual(scene.proposed, ['abort two'])
  scene.loads.close()
})

test('when loads have left much room and none is under way, the leader proposes VACUUM', async () => {
  const scene = new Scene()
  scene.room = { load: { id: 'one', received: 5 }, isWorthVacuum: true }
  await scene.minutes(5)
  assert.deepEqual(scene.proposed, [])
  scene.room = { load: undefined, isWorthVacuum: true }
  await scene.minutes(1)
  assert.deepEqual(scene.proposed, ['vacuum'])
  scene.room = undefined
  await scene.minutes(5)
  scene.room = { load: undefined, isWorthVacuum: true }
  scene.loads.close()
  await scene.minutes(5)
  assert.deepEqual(scene.proposed, ['vacuum'])
})
