import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Membership, NodeId } from '../raft/membership.ts'
import { OwnStanding } from './standing.ts'

const of = (...names: readonly string[]): Membership => ({
  members: names.map((name) => ({ id: name as NodeId, incarnation: name, raftAddress: name, apiUrl: name, suffrage: 'voter' as const })),
})
const standingOf = (...names: readonly string[]) => new OwnStanding('n1' as NodeId, { membership: of(...names), founders: of() })

test('only who was in can be out: one who joins reads memberships of times without it', () => {
  const standing = standingOf()
  standing.membershipChanged(of('n2', 'n3'))
  assert.equal(standing.current, 'member')
  standing.membershipChanged(of('n1', 'n2', 'n3'))
  standing.membershipChanged(of('n2', 'n3'))
  assert.deepEqual([standing.current, standing.problem], ['removed', 'removed'])
  standing.membershipChanged(of('n1', 'n2', 'n3'))
  assert.deepEqual([standing.current, standing.problem], ['member', undefined])
})

test('one that starts as a member and is told of its removal is removed until a membership names it again', () => {
  const standing = standingOf('n1', 'n2')
  standing.toldRemoved()
  assert.equal(standing.current, 'removed')
  standing.membershipChanged(of('n2', 'n3'))
  assert.equal(standing.current, 'removed')
  standing.membershipChanged(of('n1', 'n2'))
  assert.equal(standing.current, 'member')
})

test('a founder that starts with a membership without it was removed in an earlier life', () => {
  const start = { membership: of('n2', 'n3'), founders: of('n1', 'n2', 'n3') }
  const standing = new OwnStanding('n1' as NodeId, start)
  assert.equal(standing.current, 'removed')
  standing.membershipChanged(of('n1', 'n2', 'n3'))
  assert.equal(standing.current, 'member')
  assert.equal(new OwnStanding('n4' as NodeId, start).current, 'member', 'one who joins has not read so far yet')
})

test('one that differs is a member again when its state is replaced, unless it is removed too', () => {
  const standing = standingOf('n1', 'n2')
  standing.diverged()
  assert.equal(standing.current, 'diverged')
  standing.toldRemoved()
  assert.equal(standing.current, 'removed')
  standing.replaced()
  assert.equal(standing.current, 'removed')
  standing.membershipChanged(of('n1', 'n2'))
  assert.equal(standing.current, 'member')
})
