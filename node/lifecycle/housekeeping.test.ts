import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import type { ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import { Housekeeping } from './housekeeping.ts'

const logger = makeLogger({ level: 'silent' })

class Scene {
  readonly clock = new ManualClock()
  readonly proposed: string[] = []
  leads = true
  cluster = false
  vacuumedAtMs = 0
  answer: Result<Applied, ReplicaProblem> = ok({ index: 1, term: 1, outcome: undefined })
  readonly housekeeping: Housekeeping

  constructor(flags: { readonly foreignKeys?: boolean; readonly optimizeIntervalMs?: number; readonly vacuumIntervalMs?: number }) {
    this.housekeeping = new Housekeeping({
      foreignKeys: false,
      optimizeIntervalMs: 0,
      vacuumIntervalMs: 0,
      ...flags,
      door: {
        leads: () => this.leads,
        propose: (payload) => {
          this.proposed.push(Buffer.from(payload).toString())
          return Promise.resolve(this.answer)
        },
      },
      clusterForeignKeys: () => this.cluster,
      clusterVacuumedAtMs: () => this.vacuumedAtMs,
      encode: (upkeep) => Buffer.from(upkeep),
      clock: this.clock,
      logger,
    })
  }

  async wait(ms: number): Promise<void> {
    this.clock.advance(ms)
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
  }
}

test('the leader proposes its own setting of foreign keys, until the cluster has it; the others never do', async () => {
  const scene = new Scene({ foreignKeys: true, optimizeIntervalMs: 0 })
  scene.leads = false
  await scene.wait(5_000)
  assert.deepEqual(scene.proposed, [])
  scene.leads = true
  scene.answer = fail({ code: 'outcome_unknown', leader: undefined })
  await scene.wait(1_000)
  assert.deepEqual(scene.proposed, ['foreign-keys-on'])
  scene.answer = ok({ index: 1, term: 1, outcome: undefined })
  await scene.wait(1_000)
  assert.deepEqual(scene.proposed, ['foreign-keys-on', 'foreign-keys-on'])
  scene.cluster = true
  await scene.wait(5_000)
  assert.equal(scene.proposed.length, 2)
  scene.housekeeping.close()
})

test('a leader without -fk turns off what another has turned on', async () => {
  const scene = new Scene({ foreignKeys: false, optimizeIntervalMs: 0 })
  scene.cluster = true
  await scene.wait(1_000)
  assert.deepEqual(scene.proposed, ['foreign-keys-off'])
  scene.housekeeping.close()
})

test('the leader proposes PRAGMA optimize in its interval, and none of it after it was closed', async () => {
  const scene = new Scene({ foreignKeys: false, optimizeIntervalMs: 60_000 })
  await scene.wait(59_000)
  assert.deepEqual(scene.proposed, [])
  await scene.wait(2_000)
  await scene.wait(59_000)
  await scene.wait(2_000)
  assert.deepEqual(scene.proposed, ['optimize', 'optimize'])
  scene.leads = false
  await scene.wait(120_000)
  assert.equal(scene.proposed.length, 2)
  scene.housekeeping.close()
  scene.leads = true
  await scene.wait(120_000)
  assert.equal(scene.proposed.length, 2)
})

test('the leader proposes VACUUM when the last one is as long ago as its interval says, whoever proposed that, and not before anything was written', async () => {
  const scene = new Scene({ vacuumIntervalMs: 3_600_000 })
  await scene.wait(4_000_000)
  assert.deepEqual(scene.proposed, [])
  scene.vacuumedAtMs = scene.clock.wallMs()
  await scene.wait(3_590_000)
  // By a client, or by another leader.
  scene.vacuumedAtMs = scene.clock.wallMs()
  await scene.wait(3_590_000)
  assert.deepEqual(scene.proposed, [])
  await scene.wait(11_000)
  assert.deepEqual(scene.proposed, ['vacuum'])
  scene.housekeeping.close()
})

test('a VACUUM that was due before a restart is proposed at once after it', async () => {
  const scene = new Scene({ vacuumIntervalMs: 3_600_000 })
  scene.vacuumedAtMs = scene.clock.wallMs() - 3_600_000
  await scene.wait(1_000)
  assert.deepEqual(scene.proposed, ['vacuum'])
  scene.housekeeping.close()
})

test('a VACUUM that did not come through is tried again after a minute, not each second', async () => {
  const scene = new Scene({ vacuumIntervalMs: 3_600_000 })
  scene.vacuumedAtMs = scene.clock.wallMs() - 3_600_000
  scene.answer = fail({ code: 'outcome_unknown', leader: undefined })
  await scene.wait(59_000)
  assert.deepEqual(scene.proposed, ['vacuum'])
  await scene.wait(3_000)
  assert.deepEqual(scene.proposed, ['vacuum', 'vacuum'])
  scene.leads = false
  await scene.wait(120_000)
  assert.equal(scene.proposed.length, 2)
  scene.housekeeping.close()
})
