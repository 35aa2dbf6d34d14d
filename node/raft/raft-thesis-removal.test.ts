// Claims of the thesis about removing members (§4.2.2, §4.2.3), the leader among them; and about members that never get a vote.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry } from './entry.ts'
import { changed } from './membership-change.ts'
import { encodeMembership } from './membership-codec.ts'
import type { MembershipChange, NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { append, appendReply } from './rig-messages.ts'
import { Rig, rigElectionTicks, summary } from './rig.ts'
import { virtualLimits, virtualMember, virtualMembership } from './virtual-node.ts'

const remove = (name: string): MembershipChange => ({ kind: 'remove', id: name as NodeId })

function addNonVoter(name: string): MembershipChange {
  const { id, incarnation, raftAddress, apiUrl } = virtualMember(name, 'non-voter')
  return { kind: 'add-non-voter', member: { id, incarnation, raftAddress, apiUrl } }
}

function members(rig: Rig): string {
  return rig.status.membership.members.map(({ id, suffrage }) => (suffrage === 'voter' ? id : `${id} ${suffrage}`)).join(', ')
}

/** n1 leads three, and its own removal is appended at 2. */
function removingItself(): Rig {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'change-membership', id: 1, change: remove('n1') })
  assert.deepEqual(rig.proposed, [{ id: 1, index: 2, term: 1 }])
  return rig
}

test('§4.2: a removed follower is not counted, and gets nothing more but the news', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'change-membership', id: 1, change: remove('n3') })
  rig.take()
  const parcels = rig.accepted('n2', 2)
  assert.equal(members(rig), 'n1, n2')
  const last = parcels.filter(({ to }) => to === 'n3').at(-1)?.message
  assert(last?.kind === 'append' && last.leaderCommit === 2, 'it can apply its removal')
  assert.deepEqual(
    rig.status.followers.map(({ id }) => id),
    ['n2'],
  )
  rig.propose('x')
  rig.take()
  rig.accepted('n3', 3)
  assert.equal(rig.status.commitIndex, 2, 'its word does not count')
  rig.accepted('n2', 3)
  assert.equal(rig.status.commitIndex, 3)
})

test('the last voter cannot be removed, nor who is no member', () => {
  assert.equal(changed(virtualMembership(['n1'], ['n2']), remove('n1')).ok, false)
  assert.equal(changed(virtualMembership(['n1'], ['n2']), remove('n3')).ok, false)
  assert.deepEqual(changed(virtualMembership(['n1', 'n3'], ['n2']), remove('n1')), { ok: true, value: virtualMembership(['n3'], ['n2']) })
})

test('§4.2.2: a leader that is to be removed leads, and counts itself, until that is applied', () => {
  const rig = removingItself()
  rig.holdApply()
  rig.accepted('n2', 2)
  assert.deepEqual([rig.status.role, rig.status.commitIndex], ['leader', 2])
})

test('§4.2.2: it does not count itself any more once it is, and takes proposals until it goes', () => {
  const rig = removingItself()
  rig.accepted('n2', 2)
  assert.deepEqual([rig.status.role, members(rig)], ['leader', 'n2, n3'])
  rig.propose('x')
  rig.accepted('n2', 3)
  assert.equal(rig.status.commitIndex, 2, 'n1 and n2 are no majority of n2 and n3')
  rig.accepted('n3', 3)
  assert.equal(rig.status.commitIndex, 3)
})

test('§4.2.2: it goes when a majority of those who remain know that the removal is committed, and hands over to the longest log', () => {
  const rig = removingItself()
  const told = rig.accepted('n2', 2)
  assert(told.some(({ to, message }) => to === 'n2' && message.kind === 'append' && message.leaderCommit === 2))
  assert.equal(rig.status.role, 'leader', 'an answer from before tells nothing of the commit')
  rig.accepted('n2', 2)
  assert.equal(rig.status.role, 'leader', 'n2 alone is no majority')
  assert.deepEqual(summary(rig.accepted('n3', 2)), ['n2 timeout-now 1'])
  assert.deepEqual(rig.events.at(-2), { kind: 'stepped-down', term: 1, why: 'removed' })
  assert.equal(rig.status.leader, undefined)
})

test('an acknowledgement that was on its way before the commit was told does not let it go', () => {
  const rig = removingItself()
  rig.accepted('n2', 2)
  const late: Message = appendReply({ matchIndex: 2, appendNumber: 3 })
  rig.receive('n2', late)
  rig.receive('n3', late)
  assert.equal(rig.status.role, 'leader')
})

test('it goes after an election timeout even if they do not come to know', () => {
  const rig = removingItself()
  rig.accepted('n2', 2)
  for (let tick = 0; tick < rigElectionTicks; tick += 1) {
    rig.ticks(1)
    for (const id of ['n2', 'n3']) rig.accepted(id, 1)
  }
  assert.deepEqual(rig.events.at(-2), { kind: 'stepped-down', term: 1, why: 'removed' })
})

test('§4.2.3: whoever has applied its removal stands for no election, not even when told to', () => {
  const entry = makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(['n2', 'n3'])) })
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ leaderCommit: 1, entries: [entry] }))
  assert.equal(members(rig), 'n2, n3')
  assert.deepEqual(rig.ticks(10 * rigElectionTicks), [])
  assert.deepEqual(rig.receive('n2', { kind: 'timeout-now', term: 1 }), [])
  rig.give({ kind: 'unreachable', id: 'n2' as NodeId })
  assert.deepEqual([rig.status.role, rig.take()], ['learner', []])
})

test('it still gives its vote: a candidate that has not applied the removal may need it', () => {
  const rig = new Rig({ voters: ['n2', 'n3'] })
  const vote: Message = { kind: 'vote', term: 1, lastLogIndex: 0, lastLogTerm: 0, transfer: false }
  assert.deepEqual(summary(rig.receive('n2', vote)), ['n2 vote-reply 1 granted'])
})

test('§4.2.3: one who has heard its leader is loyal; a removed one that has not for an election timeout is not, however much time goes by', () => {
  const entry = makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(['n2', 'n3'])) })
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ leaderCommit: 1, entries: [entry] }))
  const asked: Message = { kind: 'pre-vote', term: 2, lastLogIndex: 1, lastLogTerm: 1 }
  assert.deepEqual(summary(rig.receive('n3', asked)), [])
  rig.ticks(2 * rigElectionTicks)
  for (let tick = 0; tick < 4 * rigElectionTicks; tick += 1) {
    assert.deepEqual(summary(rig.receive('n3', asked)), ['n3 pre-vote-reply 2 granted'], `after ${tick} ticks`)
    assert.deepEqual(rig.ticks(1), [])
  }
  assert.equal(rig.status.leader, undefined)
})

test('one who is told of its removal stands no more by itself, but gives its vote to one who does not know of it', () => {
  const rig = new Rig({ voters: ['n1', 'n2', 'n3', 'n4'] }).follow('n3', 1)
  rig.give({ kind: 'removed' }, { kind: 'removed' })
  const asked: Message = { kind: 'pre-vote', term: 2, lastLogIndex: 0, lastLogTerm: 0 }
  assert.deepEqual(summary(rig.receive('n4', asked)), [], 'its leader may live')
  assert.deepEqual(rig.ticks(4 * rigElectionTicks), [])
  assert.deepEqual(summary(rig.receive('n4', asked)), ['n4 pre-vote-reply 2 granted'])
  assert.deepEqual(summary(rig.receive('n4', { ...asked, kind: 'vote', transfer: false })), ['n4 vote-reply 2 granted'])
  rig.follow('n4', 2)
  rig.give({ kind: 'unreachable', id: 'n4' as NodeId })
  assert.deepEqual([rig.status.leader, rig.take()], [undefined, []], 'nor when its leader goes')
})

test('one who is told of its removal stands where it is asked by one who lacks its log, and again when that comes to nothing', () => {
  const rig = new Rig({ voters: ['n1', 'n2', 'n3', 'n4'], log: [1, 1, 1] })
  rig.give({ kind: 'removed' })
  const asked: Message = { kind: 'pre-vote', term: 2, lastLogIndex: 2, lastLogTerm: 1 }
  const stands = ['n4 pre-vote-reply 1 refused', 'n2 pre-vote 2', 'n3 pre-vote 2', 'n4 pre-vote 2']
  assert.deepEqual(summary(rig.receive('n4', asked)), stands)
  for (const from of ['n2', 'n4']) rig.receive(from, { kind: 'pre-vote-reply', term: 2, granted: true })
  assert.equal(rig.status.role, 'candidate')
  assert.deepEqual(rig.ticks(4 * rigElectionTicks), [], 'nobody has answered')
  assert.equal(rig.status.role, 'follower')
  assert.deepEqual(summary(rig.receive('n4', { ...asked, term: 3 })).length, 4)
  assert.equal(rig.status.role, 'pre-candidate')
})

test('one who was told of its removal stands again by itself once a membership that has it takes effect', () => {
  const rig = new Rig()
  rig.give({ kind: 'removed' })
  assert.deepEqual(rig.ticks(4 * rigElectionTicks), [])
  const entry = makeEntry({
    index: 1,
    term: 1,
    kind: 'membership',
    payload: encodeMembership(virtualMembership(['n1', 'n2', 'n3'], ['n4'])),
  })
  rig.receive('n2', append({ leaderCommit: 1, entries: [entry] }))
  rig.ticks(2 * rigElectionTicks)
  assert.equal(rig.status.role, 'pre-candidate')
})

test('a removed leader that went down too early is asked by one who lacks its log, and leads once more to tell', () => {
  const rig = new Rig({ voters: ['n2'], log: [1, 1, 1] })
  const asked: Message = { kind: 'pre-vote', term: 2, lastLogIndex: 2, lastLogTerm: 1 }
  assert.deepEqual(summary(rig.receive('n2', asked)), ['n2 pre-vote-reply 1 refused', 'n2 pre-vote 2'])
  rig.receive('n2', { kind: 'pre-vote-reply', term: 2, granted: true })
  rig.receive('n2', { kind: 'vote-reply', term: 2, granted: true })
  assert.deepEqual([rig.status.role, rig.status.lastIndex], ['leader', 4])
  rig.accepted('n2', 4)
  assert.deepEqual([rig.status.role, rig.status.commitIndex], ['leader', 4], 'n2 does not know it yet')
  rig.ticks(2)
  assert.deepEqual(summary(rig.accepted('n2', 4)), ['n2 timeout-now 2'])
  assert.equal(rig.status.role, 'learner')
})

test('one who is asked by a stranger, or by one whose log is as good, is not needed', () => {
  const asked: Message = { kind: 'pre-vote', term: 2, lastLogIndex: 2, lastLogTerm: 1 }
  const rig = new Rig({ voters: ['n2'], log: [1, 1, 1] })
  assert.deepEqual(summary(rig.receive('n9', asked)), ['n9 pre-vote-reply 1 refused'])
  assert.deepEqual(summary(rig.receive('n2', { ...asked, lastLogIndex: 3 })), ['n2 pre-vote-reply 2 granted'])
  assert.equal(rig.status.role, 'learner')
})

test('a target that has not applied the removal of the leader yet stands as soon as it has', () => {
  const entry = makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(['n1', 'n3'])) })
  const rig = new Rig().follow('n2', 1)
  rig.holdApply()
  rig.receive('n2', append({ leaderCommit: 1, entries: [entry] }))
  assert.deepEqual(rig.receive('n2', { kind: 'timeout-now', term: 1 }), [])
  rig.give(rig.node.apply(1))
  assert.deepEqual(summary(rig.take()), ['n3 vote 2'])
  const late = new Rig().follow('n2', 1)
  late.holdApply()
  late.receive('n2', append({ leaderCommit: 1, entries: [entry] }))
  late.receive('n2', { kind: 'timeout-now', term: 1 })
  late.ticks(rigElectionTicks)
  late.give(late.node.apply(1))
  assert.deepEqual(summary(late.take()), [], 'after an election timeout nobody waits for it any more')
})

test('a read replica gets the log for good: it is never given a vote, and cannot be', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'change-membership', id: 1, change: addNonVoter('n4') })
  rig.accepted('n2', 2)
  assert.equal(members(rig), 'n1, n2, n3, n4 non-voter')
  rig.accepted('n4', 2)
  rig.ticks(3)
  assert.equal(rig.status.lastIndex, 2, 'it has caught up and is not promoted')
  rig.give({ kind: 'change-membership', id: 2, change: { kind: 'promote', id: 'n4' as NodeId } })
  assert.deepEqual(rig.refused, [{ id: 2, code: 'membership_change_invalid' }])
  rig.propose('x')
  rig.accepted('n4', 3)
  assert.equal(rig.status.commitIndex, 2, 'its word does not count')
})

test('a read replica does not stand for election, but answers: others may know it as a voter', () => {
  const rig = new Rig({ membership: { members: [virtualMember('n1', 'non-voter'), virtualMember('n2', 'voter')] } })
  assert.deepEqual([rig.ticks(10 * rigElectionTicks), rig.status.role], [[], 'learner'])
  const vote: Message = { kind: 'vote', term: 1, lastLogIndex: 0, lastLogTerm: 0, transfer: false }
  assert.deepEqual(summary(rig.receive('n2', vote)), ['n2 vote-reply 1 granted'])
})

test('adding a known member again as a read replica changes its addresses, not what it is', () => {
  const again = addNonVoter('n2')
  assert(again.kind === 'add-non-voter')
  const next = changed(virtualMembership(['n1', 'n2']), { ...again, member: { ...again.member, raftAddress: 'elsewhere:1' } })
  assert(next.ok)
  assert.deepEqual(next.value.members[1], { ...virtualMember('n2', 'voter'), raftAddress: 'elsewhere:1' })
})

test('who comes back under the id of a removed member begins with nothing: late answers of the other do not count', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'change-membership', id: 1, change: remove('n3') })
  rig.accepted('n2', 2)
  const again = addNonVoter('n3')
  assert(again.kind === 'add-non-voter')
  rig.give({ kind: 'change-membership', id: 2, change: { kind: 'add-learner', member: { ...again.member, incarnation: 'another' } } })
  rig.accepted('n2', 3)
  const late: Message = appendReply({ matchIndex: 2, appendNumber: 3 })
  rig.receive('n3', late)
  assert.equal(rig.status.followers.find(({ id }) => id === 'n3')?.matchIndex, 0)
})

test('a leader that is about to go changes nothing more', () => {
  const rig = removingItself()
  rig.accepted('n2', 2)
  rig.give({ kind: 'change-membership', id: 2, change: remove('n3') })
  assert.deepEqual(rig.refused, [{ id: 2, code: 'membership_change_pending' }])
})

test('a follower that is removed while the log goes past what it needs next is left without a word', () => {
  const rig = new Rig().leadFirmly()
  for (let at = 0; at < virtualLimits.inflightMessagesMax; at += 1) rig.propose(`x${at}`)
  rig.accepted('n2', rig.status.lastIndex)
  rig.give({ kind: 'change-membership', id: 1, change: remove('n3') })
  const { lastIndex } = rig.status
  // The log is compacted between two steps; n3's window is full, and it has not answered.
  const gone = rig.status.followers.find(({ id }) => id === 'n3')?.nextIndex
  assert.equal(gone, lastIndex, 'it lacks the last one')
  rig.holdApply()
  rig.accepted('n2', lastIndex)
  rig.node.apply(rig.node.toApply.length)
  rig.node.disk.compact(lastIndex)
  rig.give({ kind: 'applied', index: lastIndex })
  assert.equal(members(rig), 'n1, n2')
})
