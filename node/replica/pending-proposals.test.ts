import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PendingProposals, type ProposalEnd } from './pending-proposals.ts'

function proposals(): {
  readonly pending: PendingProposals
  readonly ends: Map<number, ProposalEnd>
  readonly add: (id: number, deadlineAtMs?: number) => void
} {
  const pending = new PendingProposals({ heldBytesMax: 1_000 })
  const ends = new Map<number, ProposalEnd>()
  const add = (id: number, deadlineAtMs = 1_000): void =>
    pending.add(
      { kind: 'propose', id, payload: new Uint8Array(400) },
      {
        deadlineAtMs,
        end: (end) => {
          assert(!ends.has(id), `proposal ${id} ended twice`)
          ends.set(id, end)
        },
      },
    )
  return { pending, ends, add }
}

const applied = (index: number, term: number) => ({ index, term, outcome: undefined })

test('the same term at its index is its own entry, another term means that it was replaced', () => {
  const { pending, ends, add } = proposals()
  add(1)
  add(2)
  pending.placed(1, { index: 5, term: 2 })
  pending.placed(2, { index: 6, term: 2 })
  pending.applied(applied(5, 2))
  pending.applied(applied(6, 3))
  assert.deepEqual(Array.from(ends), [
    [1, { kind: 'applied', applied: applied(5, 2) }],
    [2, { kind: 'replaced' }],
  ])
  assert.equal(pending.count, 0)
})

test('what is still open at its deadline is unknown, placed or not; what is applied later finds nobody', () => {
  const { pending, ends, add } = proposals()
  add(1, 100)
  add(2, 100)
  add(3, 200)
  pending.placed(1, { index: 5, term: 2 })
  pending.expire(99)
  assert.equal(ends.size, 0)
  pending.expire(100)
  assert.deepEqual(Array.from(ends.values()), [{ kind: 'unknown' }, { kind: 'unknown' }])
  pending.applied(applied(5, 2))
  pending.expire(200)
  assert.deepEqual(ends.get(3), { kind: 'unknown' })
})

test('an index that is given a second time leaves the first proposal unknown', () => {
  const { pending, ends, add } = proposals()
  add(1)
  add(2)
  pending.placed(1, { index: 5, term: 2 })
  pending.placed(2, { index: 5, term: 4 })
  assert.deepEqual(ends.get(1), { kind: 'unknown' })
  pending.applied(applied(5, 4))
  assert.deepEqual(ends.get(2), { kind: 'applied', applied: applied(5, 4) })
})

test('a refused proposal is ended with the reason, an unknown id is nothing', () => {
  const { pending, ends, add } = proposals()
  add(1)
  pending.refused(1, 'overloaded')
  pending.refused(9, 'overloaded')
  pending.placed(9, { index: 1, term: 1 })
  assert.deepEqual(Array.from(ends), [[1, { kind: 'refused', code: 'overloaded' }]])
})

test('what is refused because leadership is handed over waits, and is given to the core again in its order', () => {
  const { pending, ends, add } = proposals()
  add(1)
  add(2)
  pending.refused(1, 'transfer_in_progress')
  pending.refused(2, 'transfer_in_progress')
  assert.equal(ends.size, 0)
  assert.equal(pending.count, 2)
  assert.deepEqual(
    pending.release().map(({ id }) => id),
    [1, 2],
  )
  assert.deepEqual(pending.release(), [])
  pending.refused(1, 'not_leader')
  pending.placed(2, { index: 5, term: 1 })
  pending.applied(applied(5, 1))
  assert.deepEqual([ends.get(1)?.kind, ends.get(2)?.kind], ['refused', 'applied'])
})

test('what waits has certainly not entered the log: at its deadline it is refused, not unknown', () => {
  const { pending, ends, add } = proposals()
  add(1, 100)
  add(2, 100)
  pending.refused(1, 'transfer_in_progress')
  pending.expire(100)
  assert.deepEqual(ends.get(1), { kind: 'refused', code: 'transfer_in_progress' })
  assert.deepEqual(ends.get(2), { kind: 'unknown' })
  assert.deepEqual(pending.release(), [])
})

test('what may wait is bounded in bytes, and what has ended makes room', () => {
  const { pending, ends, add } = proposals()
  for (const id of [1, 2, 3]) {
    add(id, id * 100)
    pending.refused(id, 'transfer_in_progress')
  }
  assert.deepEqual(ends.get(3), { kind: 'refused', code: 'overloaded' })
  pending.expire(100)
  add(4)
  pending.refused(4, 'transfer_in_progress')
  assert.equal(ends.has(4), false)
})

test('what a snapshot has skipped is unknown at once: it may be in there', () => {
  const { pending, ends, add } = proposals()
  for (const id of [1, 2]) {
    add(id)
    pending.placed(id, { index: id * 10, term: 1 })
  }
  pending.skippedTo(10)
  assert.deepEqual([...ends], [[1, { kind: 'unknown' }]])
})
