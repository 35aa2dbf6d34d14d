// The judges of the kill suite, judged: each must find what it is there for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killsOf, planDisasters } from './processes/nemesis.ts'
import { compare } from './processes/read-checker.ts'
import { seededRandom } from './processes/seeded-random.ts'
import { WriteHistory } from './processes/write-history.ts'
import { fateOf } from './processes/writer.ts'

function history(): WriteHistory {
  const made = new WriteHistory(2)
  made.acknowledge(made.begin(0))
  made.begin(0) // its outcome stays unknown
  made.refuse(made.begin(0))
  made.acknowledge(made.begin(1))
  return made
}

type Answer = Parameters<typeof fateOf>[0]

function reply(status: number, code: string | undefined, body = ''): Answer {
  return { kind: 'reply', status, code, body }
}

function plan(seed: number): readonly string[] {
  return planDisasters(seededRandom(seed), { nodes: 3, kills: 12 }).map((disaster) => JSON.stringify(disaster))
}

const kept = [
  { writer: 0, n: 1 },
  { writer: 1, n: 1 },
]

test('a history with every acknowledged write, with or without the unknown ones, has no fault', () => {
  assert.deepEqual(history().faults(kept), [])
  assert.deepEqual(history().faults([...kept, { writer: 0, n: 2 }]), [])
  assert.deepEqual(history().counts(), { sent: 4, acknowledged: 2, refused: 1, unknown: 1 })
})

test('a lost, doubled, invented or refused write is a fault', () => {
  assert.match(
    history()
      .faults([{ writer: 0, n: 1 }])
      .join(),
    /writer 1's 1 was acknowledged and is lost/,
  )
  assert.match(
    history()
      .faults([...kept, { writer: 0, n: 1 }])
      .join(),
    /there twice/,
  )
  assert.match(
    history()
      .faults([...kept, { writer: 0, n: 9 }])
      .join(),
    /never sent 9/,
  )
  assert.match(
    history()
      .faults([...kept, { writer: 7, n: 1 }])
      .join(),
    /never sent 1/,
  )
  assert.match(
    history()
      .faults([...kept, { writer: 0, n: 3 }])
      .join(),
    /was refused 3/,
  )
})

test('a linearizable read below the floor is a fault, one at or above it is none', () => {
  assert.deepEqual(compare([5, 7], [5, 6], 'acknowledged'), [])
  assert.equal(compare([4, 7], [5, 6], 'acknowledged').length, 1)
  assert.equal(compare([], [1], 'acknowledged').length, 1)
})

test('only what the node calls certain counts as not applied', () => {
  assert.equal(fateOf({ kind: 'unreachable' }), 'not-applied')
  assert.equal(fateOf({ kind: 'lost', why: 'reset' }), 'unknown')
  assert.equal(fateOf(reply(503, 'leader_unknown')), 'not-applied')
  assert.equal(fateOf(reply(503, 'deadline')), 'not-applied')
  assert.equal(fateOf(reply(408, 'request_timeout')), 'not-applied')
  assert.throws(() => fateOf(reply(408, 'queue_wait_timeout')))
  assert.equal(fateOf(reply(200, 'outcome_unknown')), 'unknown')
  assert.equal(fateOf(reply(200, undefined, '{"results":[{"rows_affected":1}]}')), 'acknowledged')
  assert.throws(() => fateOf(reply(200, undefined, '{"results":[{"error":"no such table"}]}')))
  assert.throws(() => fateOf(reply(401, 'permission_denied')))
  assert.throws(() => fateOf(reply(503, undefined)))
})

test('the same seed plans the same kills, of every kind even in a short run, and exactly as many as are wanted', () => {
  assert.deepEqual(plan(7), plan(7))
  assert.notDeepEqual(plan(7), plan(8))
  for (const seed of [1, 2, 3, 4, 5]) {
    for (const kind of ['one', 'same-again', 'all'])
      assert.ok(
        plan(seed).some((line) => line.includes(`"${kind}"`)),
        `${kind}, seed ${seed}`,
      )
  }
  for (let kills = 1; kills < 30; kills += 1) {
    const planned = planDisasters(seededRandom(kills), { nodes: 3, kills })
    assert.equal(
      planned.reduce((total, disaster) => total + killsOf(disaster, 3), 0),
      kills,
    )
  }
})
