import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseNodeId } from '../raft/membership-codec.ts'
import type { Member, NodeId, Suffrage } from '../raft/membership.ts'
import { keepVigil, whomToReap, type ReapingRule, type Sample, type Vigil } from './reaping-rule.ts'

const rule: ReapingRule = { voterMs: 10_000, nonVoterMs: 5_000, expectedVoters: 0, intervalMs: 1_000 }

function nodeId(name: string): NodeId {
  const parsed = parseNodeId(name)
  assert.ok(parsed.ok)
  return parsed.value
}

/** `members`: v voters, l learners, r read replicas, in upper case when the leader hears of them. The first is the leader itself. */
function sampleOf(
  members: string,
  more: { readonly nowMs?: number; readonly term?: number; readonly role?: Sample['status']['role'] } = {},
): Sample {
  const suffrages: Readonly<Record<string, Suffrage>> = { v: 'voter', l: 'learner', r: 'non-voter' }
  const list = Array.from(members, (letter, position) => {
    const id = nodeId(`n${position + 1}`)
    const suffrage = suffrages[letter.toLowerCase()] ?? 'voter'
    const member: Member = { id, incarnation: 'i', raftAddress: `${id}:4002`, apiUrl: `https://${id}:4001`, suffrage }
    return { member, active: letter === letter.toUpperCase() }
  })
  const [self] = list
  assert.ok(self)
  return {
    nowMs: more.nowMs ?? 0,
    status: {
      id: self.member.id,
      role: more.role ?? 'leader',
      term: more.term ?? 1,
      membership: { members: list.map(({ member }) => member) },
      followers: list
        .slice(1)
        .map(({ member, active }) => ({ id: member.id, matchIndex: 0, nextIndex: 1, state: 'probe' as const, active })),
    },
  }
}

/** Samples once a second from 0 on; the last one is the moment of the decision. */
function afterSeconds(members: string, seconds: number, more: Partial<ReapingRule> = {}): NodeId | undefined {
  let vigil: Vigil | undefined
  for (let second = 0; second <= seconds; second += 1)
    vigil = keepVigil(vigil, sampleOf(members, { nowMs: second * 1_000 }), { ...rule, ...more })
  return vigil === undefined ? undefined : whomToReap(vigil, sampleOf(members, { nowMs: seconds * 1_000 }), { ...rule, ...more })
}

describe('whom a leader reaps after eleven seconds of silence, at ten for voters and five for read replicas', () => {
  for (const [members, expected, why] of [
    ['VVV', undefined, 'nobody is silent'],
    ['VVv', 'n3', 'two of three are heard of, and two are a quorum of three'],
    ['Vvv', undefined, 'no quorum hears this leader'],
    ['Vv', undefined, 'one of two is no quorum'],
    ['V', undefined, 'alone'],
    ['VVVv', 'n4', 'three of four'],
    ['VVvv', undefined, 'two of four are no quorum'],
    ['VVVvv', 'n4', 'three of five: one at a time, the longest silent first'],
    ['VVVVv', 'n5', 'four of five'],
    ['VVr', 'n3', 'a read replica is no part of a quorum'],
    ['Vr', 'n2', 'nor beside a single voter'],
    ['VVvr', 'n3', 'both are due'],
    ['VvR', undefined, 'a read replica that is heard of does not replace a voter'],
    ['VVl', 'n3', 'a learner has no vote either'],
  ] as const) {
    test(`${members}: ${expected ?? 'nobody'} (${why})`, () => assert.equal(afterSeconds(members, 11), expected))
  }
})

describe('the configured size', () => {
  test('two voters of what was three stay two, heard of or not', () => {
    let vigil = keepVigil(undefined, sampleOf('VVv'), rule)
    for (let second = 1; second <= 30; second += 1) vigil = keepVigil(vigil, sampleOf('VV', { nowMs: second * 1_000 }), rule)
    assert.equal(vigil?.votersSeenMax, 3)
    assert.equal(keepVigil(vigil, sampleOf('Vv', { nowMs: 31_000 }), rule), undefined)
  })

  test('five voters go down to three and no further', () => {
    let vigil: Vigil | undefined
    const silentAt = (members: string, from: number): NodeId | undefined => {
      for (let second = from; second <= from + 20; second += 1) vigil = keepVigil(vigil, sampleOf(members, { nowMs: second * 1_000 }), rule)
      assert.ok(vigil)
      return whomToReap(vigil, sampleOf(members, { nowMs: (from + 20) * 1_000 }), rule)
    }
    assert.equal(silentAt('VVVVv', 0), 'n5')
    assert.equal(silentAt('VVVv', 21), 'n4')
    assert.equal(silentAt('VVv', 42), undefined)
  })

  test('-bootstrap-expect counts even if this leader has never seen so many', () => {
    assert.equal(afterSeconds('VVv', 11, { expectedVoters: 3 }), 'n3')
    assert.equal(afterSeconds('VVv', 11, { expectedVoters: 5 }), undefined)
  })
})

describe('the count of silence begins anew', () => {
  const watch = (samples: readonly Sample[]): NodeId | undefined => {
    let vigil: Vigil | undefined
    for (const sample of samples) vigil = keepVigil(vigil, sample, rule)
    const last = samples.at(-1)
    return vigil === undefined || last === undefined ? undefined : whomToReap(vigil, last, rule)
  }
  const seconds = (from: number, to: number, more: (second: number) => Sample): readonly Sample[] =>
    Array.from({ length: to - from + 1 }, (_, position) => more(from + position))
  const silent = (second: number): Sample => sampleOf('VVv', { nowMs: second * 1_000 })

  test('when the member is heard of again', () => {
    assert.equal(watch([...seconds(0, 9, silent), sampleOf('VVV', { nowMs: 10_000 }), ...seconds(11, 20, silent)]), undefined)
    assert.equal(watch([...seconds(0, 9, silent), sampleOf('VVV', { nowMs: 10_000 }), ...seconds(11, 21, silent)]), 'n3')
  })

  test('in another term of the same leader', () => {
    const later = (second: number): Sample => sampleOf('VVv', { nowMs: second * 1_000, term: 2 })
    assert.equal(watch([...seconds(0, 9, silent), ...seconds(10, 19, later)]), undefined)
    assert.equal(watch([...seconds(0, 9, silent), ...seconds(10, 20, later)]), 'n3')
  })

  test('after a moment without leadership, or without a quorum', () => {
    for (const gap of [sampleOf('VVv', { nowMs: 10_000, role: 'follower' }), sampleOf('Vvv', { nowMs: 10_000 })]) {
      assert.equal(watch([...seconds(0, 9, silent), gap, ...seconds(11, 20, silent)]), undefined)
      assert.equal(watch([...seconds(0, 9, silent), gap, ...seconds(11, 21, silent)]), 'n3')
    }
  })

  test('after a sleep: a process that heard nobody for a while says nothing of the others', () => {
    assert.equal(watch([...seconds(0, 5, silent), silent(60)]), undefined)
    assert.equal(watch([...seconds(0, 5, silent), ...seconds(60, 70, silent)]), 'n3')
  })

  test('for a follower there is no count at all', () => {
    assert.equal(keepVigil(undefined, sampleOf('VVv', { role: 'follower' }), rule), undefined)
  })
})

test('without a timeout nobody of that kind goes', () => {
  assert.equal(afterSeconds('VVv', 100, { voterMs: undefined }), undefined)
  assert.equal(afterSeconds('VVr', 100, { nonVoterMs: undefined }), undefined)
  assert.equal(afterSeconds('VVvr', 100, { voterMs: undefined }), 'n4')
})

test('silence that is too short takes nobody', () => {
  assert.equal(afterSeconds('VVv', 9), undefined)
  assert.equal(afterSeconds('VVv', 10), 'n3')
  assert.equal(afterSeconds('VVr', 4), undefined)
  assert.equal(afterSeconds('VVr', 5), 'n3')
})
