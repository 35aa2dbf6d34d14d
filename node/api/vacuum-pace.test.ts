import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fail } from '../../runtime/result.ts'
import { codeOf, laterApplied, turns, world } from './turnstile-world.ts'

/** Sends VACUUM whenever there is a chance; the database takes `tookMs` for each. The share of `spanMs` that was spent in them. */
async function shareOf(tookMs: number, spanMs: number): Promise<number> {
  let nowMs = 0
  const { replica, write } = await world({ nowMs: () => nowMs })
  let vacuumMs = 0
  while (nowMs < spanMs) {
    const end = write('VACUUM')
    await turns()
    if (replica.payloads.length > 0) {
      replica.payloads.length = 0
      nowMs += tookMs
      vacuumMs += tookMs
      await replica.apply()
      assert.equal(codeOf(await end), 'ok')
    } else {
      assert.equal(codeOf(await end), 'vacuum_too_soon')
      nowMs += 1_000
    }
  }
  return vacuumMs / nowMs
}

test('whoever sends nothing but VACUUM has a tenth of the time for it, however long one takes', async () => {
  const spanMs = 600_000
  for (const tookMs of [500, 2_600, 20_000]) {
    const share = await shareOf(tookMs, spanMs)
    // What may be owed, and one that has just begun, are a little more.
    assert(share <= 0.1 + (3_000 + tookMs) / spanMs && share > 0.08, `${tookMs}: ${share}`)
  }
})

test('small ones in a row are not refused', async () => {
  let nowMs = 0
  const { replica, write } = await world({ nowMs: () => nowMs })
  for (let count = 0; count < 50; count += 1) {
    const end = write(count % 2 === 0 ? 'VACUUM' : 'vacuum main;')
    await turns()
    nowMs += 50
    await replica.apply()
    assert.equal(codeOf(await end), 'ok')
  }
})

test('while one is under way no other is taken, also when its sender has gone; other writes are, behind it', async () => {
  let nowMs = 0
  const { replica, write } = await world({ nowMs: () => nowMs })
  let isApplied = false
  replica.whenApplied = () => laterApplied(() => isApplied)
  const first = write('VACUUM')
  await turns()
  const [second, other] = [write('VACUUM'), write('short 1')]
  assert.equal(codeOf(await second), 'vacuum_too_soon')
  await replica.apply(fail({ code: 'outcome_unknown', leader: undefined }))
  assert.equal(codeOf(await first), 'outcome_unknown')
  assert.equal(codeOf(await write('VACUUM')), 'vacuum_too_soon')
  nowMs += 10_000
  isApplied = true
  await turns()
  assert.deepEqual(replica.payloads, ['VACUUM', 'short 1'])
  await replica.apply()
  assert.equal(codeOf(await other), 'ok')
  const late = await write('VACUUM')
  assert(!late.ok && 'message' in late.problem)
  assert.match(late.problem.message, /^all writes wait for a VACUUM, and the last ones took long; try again in 70s$/)
})

test('one that is not proposed costs nothing; the upkeep of the leader itself has no pace', async () => {
  let nowMs = 0
  const { replica, turnstile, write } = await world({ nowMs: () => nowMs })
  replica.refused.set('VACUUM', 'overloaded')
  for (let count = 0; count < 3; count += 1) {
    const end = write('VACUUM', { msLeft: () => 60_000 })
    nowMs += 60_000
    assert.equal(codeOf(await end), 'overloaded')
  }
  replica.refused.clear()
  for (let count = 0; count < 3; count += 1) {
    const end = turnstile.propose(replica, { payload: Buffer.from('VACUUM'), changes: 'judgements', msLeft: () => 60_000 })
    await turns()
    nowMs += 60_000
    await replica.apply()
    assert.equal(codeOf(await end), 'ok')
  }
  const end = write('VACUUM')
  await turns()
  await replica.apply()
  assert.equal(codeOf(await end), 'ok')
})
