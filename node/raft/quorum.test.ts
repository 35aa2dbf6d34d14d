import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { NodeId } from './membership.ts'
import { majorityOf, majorityReached, voteResult } from './quorum.ts'

const ids = Array.from({ length: 9 }, (_, n) => `n${n}` as NodeId)
const voterSets = fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1 }).map((list) => new Set(list))

test('a majority is more than half, for even and odd counts', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((count) => majorityOf(count)),
    [1, 2, 2, 3, 3, 4, 4],
  )
})

test('what a majority has reached is the greatest number that more than half have reached', () => {
  const reachedBy = fc.array(fc.nat({ max: 6 }), { minLength: 9, maxLength: 9 })
  fc.assert(
    fc.property(voterSets, reachedBy, (voters, reached) => {
      const of = (id: NodeId) => reached[ids.indexOf(id)]!
      const naive = [6, 5, 4, 3, 2, 1, 0].find((n) => Array.from(voters).filter((id) => of(id) >= n).length * 2 > voters.size)
      assert.equal(majorityReached(voters, of), naive)
    }),
  )
})

test('a vote is won by more than half, lost when that is out of reach, whatever strangers say', () => {
  const votesOf = fc.array(fc.constantFrom(true, false, undefined), { minLength: 9, maxLength: 9 })
  fc.assert(
    fc.property(voterSets, votesOf, (voters, list) => {
      const votes = new Map<NodeId, boolean>()
      for (const [n, vote] of list.entries()) if (vote !== undefined) votes.set(ids[n]!, vote)
      const granted = Array.from(voters).filter((id) => votes.get(id) === true).length
      const open = Array.from(voters).filter((id) => !votes.has(id)).length
      const naive = granted * 2 > voters.size ? 'won' : (granted + open) * 2 > voters.size ? 'pending' : 'lost'
      assert.equal(voteResult(voters, votes), naive)
    }),
  )
})

test('without voters nothing is reached and nothing is won', () => {
  assert.equal(
    majorityReached(new Set(), () => 7),
    0,
  )
  assert.equal(voteResult(new Set(), new Map([[ids[0]!, true]])), 'lost')
})
