// Claims of the thesis about changing the membership one member at a time (§4.1, §4.2), with the correction of 2015, for a membership that takes effect when applied.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from './entry.ts'
import { encodeMembership } from './membership-codec.ts'
import { changed, promotionLagMax } from './membership-change.ts'
import type { MembershipChange, NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { append, appendReply } from './rig-messages.ts'
import { Rig, rigElectionTicks, summary } from './rig.ts'
import { virtualLog, virtualMember, virtualMembership } from './virtual-node.ts'

const n2 = 'n2' as NodeId
const n4 = 'n4' as NodeId

function addLearner(name: string): MembershipChange {
  const { id, incarnation, raftAddress, apiUrl } = virtualMember(name, 'learner')
  return { kind: 'add-learner', member: { id, incarnation, raftAddress, apiUrl } }
}

function change(index: number, voters: readonly string[]): Entry {
  return makeEntry({ index, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(voters)) })
}

function suffrages(rig: Rig): string {
  return rig.status.membership.members.map(({ id, suffrage }) => `${id} ${suffrage}`).join(', ')
}

test('§4.2.1: a new member is a learner first: it gets the log and has no vote', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'change-membership', id: 1, change: addLearner('n4') })
  assert.deepEqual(rig.proposed, [{ id: 1, index: 2, term: 1 }])
  rig.accepted('n2', 2)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 learner')
  assert(rig.status.followers.some(({ id }) => id === n4))
  rig.take()
  rig.propose('x')
  assert(summary(rig.take()).includes('n2 append 1'))
})

test('§4.1: a membership takes effect when it is applied, not before', () => {
  const rig = new Rig().leadFirmly()
  rig.holdApply()
  rig.give({ kind: 'change-membership', id: 1, change: addLearner('n4') })
  rig.accepted('n2', 2)
  assert.equal(rig.status.commitIndex, 2)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter')
  rig.give(rig.node.apply(1))
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 learner')
  assert.deepEqual(rig.events.at(-1), { kind: 'membership-changed', membership: rig.status.membership })
})

test('§4.1: one change at a time: a second is refused until the first is applied', () => {
  const rig = new Rig().leadFirmly()
  rig.holdApply()
  rig.give({ kind: 'change-membership', id: 1, change: addLearner('n4') })
  rig.give({ kind: 'change-membership', id: 2, change: addLearner('n5') })
  rig.accepted('n2', 2)
  rig.give({ kind: 'change-membership', id: 3, change: addLearner('n5') })
  assert.deepEqual(rig.refused, [
    { id: 2, code: 'membership_change_pending' },
    { id: 3, code: 'membership_change_pending' },
  ])
  rig.give(rig.node.apply(1))
  rig.give({ kind: 'change-membership', id: 4, change: addLearner('n5') })
  assert.equal(rig.proposed.at(-1)?.id, 4)
})

test('§4.1, corrected 2015: no change before the leader has committed an entry of its own term', () => {
  const rig = new Rig({ log: [1], hardState: { term: 1, votedFor: undefined } }).lead()
  rig.give({ kind: 'change-membership', id: 1, change: addLearner('n4') })
  assert.deepEqual(rig.refused, [{ id: 1, code: 'membership_change_pending' }])
  rig.accepted('n2', 2)
  rig.give({ kind: 'change-membership', id: 2, change: addLearner('n4') })
  assert.equal(rig.proposed.at(-1)?.id, 2)
})

test('§4.1: a change that an earlier leader left in the log counts as pending, too', () => {
  const membership = encodeMembership(virtualMembership(['n1', 'n2', 'n3'], ['n4']))
  const left = makeEntry({ index: 1, term: 1, kind: 'membership', payload: membership })
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ entries: [left] }))
  rig.holdApply()
  rig.lead()
  rig.accepted('n2', 2)
  assert.equal(rig.status.commitIndex, 2)
  rig.give({ kind: 'change-membership', id: 1, change: addLearner('n5') })
  assert.deepEqual(rig.refused, [{ id: 1, code: 'membership_change_pending' }])
})

test('a node that knows of a committed and unapplied change does not stand for election, not even when told to', () => {
  const membership = encodeMembership(virtualMembership(['n1', 'n2', 'n3', 'n4']))
  const entry = makeEntry({ index: 1, term: 1, kind: 'membership', payload: membership })
  const rig = new Rig().follow('n2', 1)
  rig.holdApply()
  rig.receive('n2', append({ leaderCommit: 1, entries: [entry] }))
  assert.deepEqual(rig.ticks(5 * rigElectionTicks), [])
  assert.deepEqual(rig.receive('n2', { kind: 'timeout-now', term: 1 }), [])
  assert.equal(rig.status.role, 'follower')
  rig.give(rig.node.apply(1))
  assert.deepEqual(summary(rig.take()), ['n2 vote 2', 'n3 vote 2', 'n4 vote 2'], 'it stands by the new membership, as it was told')
})

test('a node that forgot the commit index in a restart still knows that every change in its log but the last is committed', () => {
  const entries = [change(1, ['n1', 'n2', 'n3', 'n4']), ...virtualLog([1], 2), change(3, ['n1', 'n2', 'n3', 'n4', 'n5'])]
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ entries }))
  assert.equal(rig.status.commitIndex, 0)
  rig.holdApply()
  rig.node.crash(0)
  rig.node.restart()
  assert.equal(rig.status.commitIndex, 1)
  assert.deepEqual(rig.ticks(5 * rigElectionTicks), [], 'it does not stand by a membership that is no longer in force')
  rig.give(rig.node.apply(1))
  assert.equal(summary(rig.ticks(2 * rigElectionTicks)).filter((line) => line.includes('pre-vote')).length >= 3, true)
})

test('§4.2.1: a learner that has caught up is given a vote by the leader, the first of several first', () => {
  const rig = new Rig({ learners: ['n4', 'n5'] }).lead()
  for (let n = 0; n < promotionLagMax + 20; n += 1) rig.propose(`${n}`)
  rig.accepted('n2', rig.status.lastIndex)
  rig.accepted('n4', 5)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 learner, n5 learner', 'too far behind')
  rig.accepted('n4', rig.status.lastIndex)
  rig.accepted('n5', rig.status.lastIndex - 1)
  rig.accepted('n2', rig.status.lastIndex)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 voter, n5 learner')
  rig.accepted('n2', rig.status.lastIndex)
  rig.accepted('n3', rig.status.lastIndex)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 voter, n5 voter')
})

test('§4.2.1: a learner that has never answered, or not lately, is not given a vote', () => {
  const rig = new Rig({ learners: ['n4'] }).leadFirmlyWithout('n4')
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 learner')
  rig.give({ kind: 'change-membership', id: 1, change: { kind: 'promote', id: n4 } })
  assert.deepEqual(rig.refused, [{ id: 1, code: 'membership_change_invalid' }])
})

test('§4.2.2: the vote of a new voter counts from then on', () => {
  const rig = new Rig({ learners: ['n4'] }).lead()
  rig.accepted('n2', 1)
  rig.accepted('n4', 1)
  rig.accepted('n2', 2)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter, n3 voter, n4 voter')
  rig.propose('x')
  rig.accepted('n2', 3)
  assert.equal(rig.status.commitIndex, 2, 'two of four are no majority')
  rig.accepted('n4', 3)
  assert.equal(rig.status.commitIndex, 3)
})

test('a learner answers requests for votes: others may already know it as a voter', () => {
  const rig = new Rig({ voters: ['n2', 'n3'], learners: ['n1'] })
  assert.deepEqual(summary(rig.receive('n2', { kind: 'pre-vote', term: 1, lastLogIndex: 0, lastLogTerm: 0 })), [
    'n2 pre-vote-reply 1 granted',
  ])
  assert.deepEqual(summary(rig.receive('n2', { kind: 'vote', term: 1, lastLogIndex: 0, lastLogTerm: 0, transfer: false })), [
    'n2 vote-reply 1 granted',
  ])
})

test('a learner does not stand for election', () => {
  const rig = new Rig({ voters: ['n2', 'n3'], learners: ['n1'] })
  assert.deepEqual(rig.ticks(10 * rigElectionTicks), [])
  assert.equal(rig.status.role, 'learner')
  rig.follow('n2', 1)
  rig.take()
  rig.give({ kind: 'unreachable', id: n2 })
  assert.deepEqual([rig.take(), rig.status.leader], [[], undefined])
})

test('a learner whose promotion stands in its log may be the only one who can win, and stands', () => {
  const rig = new Rig({ voters: ['n2'], learners: ['n1'], log: [1] }).follow('n2', 1)
  const promotion = change(2, ['n1', 'n2'])
  const after = virtualLog([1, 1, 1]).slice(2)
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, leaderCommit: 1, entries: [promotion, ...after] }))
  // n2 alone has committed the promotion, applied it, lost entry 3 with its power and needs this node's vote now.
  assert.deepEqual(summary(rig.ticks(2 * rigElectionTicks)).slice(0, 1), ['n2 pre-vote 2'])
  rig.receive('n2', { kind: 'pre-vote-reply', term: 2, granted: true })
  rig.receive('n2', { kind: 'vote-reply', term: 2, granted: true })
  assert.equal(rig.status.role, 'leader')
  rig.accepted('n2', 4)
  assert.equal(suffrages(rig), 'n1 voter, n2 voter')
  rig.ticks(rigElectionTicks / 2)
  assert.equal(rig.status.role, 'leader')
})

test('a learner that wins does not count its own vote', () => {
  const rig = new Rig({ voters: ['n2', 'n3'], learners: ['n1'], log: [1] }).follow('n2', 1)
  const entries = [change(2, ['n1', 'n2', 'n3'])]
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, leaderCommit: 1, entries }))
  rig.ticks(2 * rigElectionTicks)
  rig.receive('n2', { kind: 'pre-vote-reply', term: 2, granted: true })
  assert.equal(rig.status.role, 'pre-candidate')
})

test('a node that joins knows nobody, and takes the log from the leader that writes to it', () => {
  const rig = new Rig({ voters: [] })
  const membership = virtualMembership(['n2', 'n3'], ['n1'])
  const entry = makeEntry({ index: 1, term: 4, kind: 'membership', payload: encodeMembership(membership) })
  const message: Message = append({ term: 4, leaderCommit: 1, entries: [entry] })
  assert.deepEqual(summary(rig.receive('n2', message)), ['n2 append-reply 4'])
  assert.deepEqual(rig.status.membership, membership)
})

test('§4.2.3 (and etcd’s experience): who is asked for a vote by a voter it has not heard of yet answers', () => {
  const rig = new Rig()
  assert.deepEqual(summary(rig.receive('n9', { kind: 'vote', term: 1, lastLogIndex: 0, lastLogTerm: 0, transfer: false })), [
    'n9 vote-reply 1 granted',
  ])
})

test('answers of strangers are ignored, whatever term they name', () => {
  const rig = new Rig().leadFirmly()
  rig.receive('n9', appendReply({ term: 99, accepted: false, appendNumber: 0 }))
  rig.receive('n9', { kind: 'vote-reply', term: 99, granted: false })
  assert.deepEqual([rig.status.role, rig.status.term], ['leader', 1])
})

test('a change that makes no sense is refused as invalid, and nothing is appended', () => {
  const rig = new Rig({ learners: ['n4'] }).leadFirmlyWithout('n4')
  const wiped = addLearner('n3')
  const sameAddress = addLearner('n9')
  assert(wiped.kind === 'add-learner' && sameAddress.kind === 'add-learner')
  const cases: readonly MembershipChange[] = [
    { kind: 'promote', id: 'n9' as NodeId },
    { kind: 'promote', id: n2 },
    { kind: 'update-address', id: 'n9' as NodeId, raftAddress: 'x:1', apiUrl: 'https://x' },
    { kind: 'update-address', id: n2, raftAddress: '', apiUrl: 'https://x' },
    { kind: 'update-address', id: n2, raftAddress: 'n3:4002', apiUrl: 'https://x' },
    { kind: 'add-learner', member: { ...wiped.member, incarnation: 'another' } },
    { kind: 'add-learner', member: { ...sameAddress.member, raftAddress: 'n2:4002' } },
    { kind: 'add-learner', member: { ...sameAddress.member, id: 'a b' as NodeId } },
  ]
  const before = rig.status.lastIndex
  for (const [id, change] of cases.entries()) {
    rig.give({ kind: 'change-membership', id, change })
    assert.deepEqual(rig.refused.at(-1), { id, code: 'membership_change_invalid' }, JSON.stringify(change))
  }
  assert.equal(rig.status.lastIndex, before)
})

test('adding a member again with the same incarnation only brings its addresses up to date', () => {
  const known = virtualMembership(['n1', 'n2', 'n3'])
  const again = addLearner('n3')
  assert(again.kind === 'add-learner')
  const moved = changed(known, { kind: 'add-learner', member: { ...again.member, raftAddress: 'elsewhere:4002' } })
  assert(moved.ok)
  assert.deepEqual(moved.value.members[2], { ...known.members[2], raftAddress: 'elsewhere:4002' })
})

test('a follower refuses a change and names the reason', () => {
  const rig = new Rig()
  rig.give({ kind: 'change-membership', id: 1, change: addLearner('n4') })
  rig.follow('n2', 1)
  rig.give({ kind: 'change-membership', id: 2, change: addLearner('n4') })
  assert.deepEqual(rig.refused, [
    { id: 1, code: 'leader_unknown' },
    { id: 2, code: 'not_leader' },
  ])
})
