// What becomes of a node whose disk was damaged or put back in time, on its side and on the leader's (see trust.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { append, appendReply } from './rig-messages.ts'
import { Rig, rigElectionTicks, rigHeartbeatTicks, summary } from './rig.ts'
import { virtualLog, virtualMember } from './virtual-node.ts'

const n2 = 'n2' as NodeId
const n3 = 'n3' as NodeId
const max = Number.MAX_SAFE_INTEGER

const preVote: Message = { kind: 'pre-vote', term: 5, lastLogIndex: 9, lastLogTerm: 4 }
const vote: Message = { kind: 'vote', term: 5, lastLogIndex: 9, lastLogTerm: 4, transfer: false }

function newestNumber(rig: Rig, to: string): number {
  const numbers = rig
    .take()
    .flatMap((parcel) => (parcel.to === to && 'appendNumber' in parcel.message ? [parcel.message.appendNumber] : []))
  assert(numbers.length > 0, `nothing was sent to ${to}`)
  return Math.max(...numbers)
}

/** n1 leads three, and n2 has acknowledged everything up to 3. */
function leader(): Rig {
  const rig = new Rig().leadFirmly()
  rig.propose('a')
  rig.propose('b')
  rig.accepted('n2', 3)
  assert.equal(rig.status.commitIndex, 3)
  return rig
}

/** n1 is untrusted, follows n2 in term 1, and has asked n2 what it must have. */
function doubter(): { readonly rig: Rig; readonly request: number } {
  const rig = new Rig({ trust: 'untrusted' })
  let asked: Message | undefined
  for (let tick = 0; tick < 2 * rigElectionTicks; tick += 1) {
    assert.equal(asked, undefined)
    rig.receive('n2', append())
    asked = rig.ticks(1).find(({ message }) => message.kind === 'read-index')?.message
  }
  assert(asked?.kind === 'read-index' && asked.afterLoss)
  return { rig, request: asked.id }
}

test('an untrusted node gives neither vote nor pre-vote', () => {
  const rig = new Rig({ trust: 'untrusted' })
  assert.deepEqual(summary(rig.receive('n2', preVote)), ['n2 pre-vote-reply 0 refused'])
  assert.deepEqual(summary(rig.receive('n2', vote)), ['n2 vote-reply 5 refused'])
  assert.equal(rig.status.votedFor, undefined)
})

test('an untrusted node does not stand, not even when told to', () => {
  const rig = new Rig({ trust: 'untrusted' }).follow('n2', 1)
  rig.receive('n2', { kind: 'timeout-now', term: 1 })
  rig.ticks(10 * rigElectionTicks)
  rig.give({ kind: 'unreachable', id: n2 })
  assert.deepEqual(
    rig.events.filter(({ kind }) => kind.endsWith('candidate')),
    [],
  )
})

test('a lone voter that is untrusted leads nothing, by design: nobody could say what it has lost', () => {
  const rig = new Rig({ voters: ['n1'], trust: 'untrusted' })
  rig.ticks(10 * rigElectionTicks)
  assert.deepEqual([rig.status.role, rig.status.trust], ['follower', 'untrusted'])
})

test('it says with every answer that it is not to be counted', () => {
  const rig = new Rig({ trust: 'untrusted' })
  for (const message of [append(), append({ entries: virtualLog([1]) }), append({ prevLogIndex: 7, prevLogTerm: 1 })]) {
    const [parcel] = rig.receive('n2', message)
    assert(parcel?.message.kind === 'append-reply')
    assert.equal(parcel.message.trusted, false)
  }
  const [parcel] = rig.receive('n2', { kind: 'install-snapshot', term: 1, baseIndex: 9, baseTerm: 1, readSequence: 0, appendNumber: 4 })
  assert(parcel?.message.kind === 'append-reply' && !parcel.message.trusted)
})

test('it asks what it must have, not before two election timeouts have passed, and is trusted when its log has that, committed and on disk', () => {
  const { rig, request } = doubter()
  rig.receive('n2', { kind: 'read-index-reply', term: 1, id: request, index: 2, refused: false })
  assert.equal(rig.status.trust, 'untrusted')
  rig.receive('n2', append({ entries: virtualLog([1, 1]), leaderCommit: 1 }))
  assert.equal(rig.status.trust, 'untrusted', 'entry 2 may be one that another leader replaces')
  rig.holdDisk()
  rig.receive('n2', append({ prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 2 }))
  assert.deepEqual([rig.status.trust, rig.events.at(-1)], ['trusted', { kind: 'trust-changed', trust: 'trusted' }])
})

test('what is committed but still being written is not enough', () => {
  const { rig, request } = doubter()
  rig.receive('n2', { kind: 'read-index-reply', term: 1, id: request, index: 1, refused: false })
  rig.holdDisk()
  rig.receive('n2', append({ entries: virtualLog([1]), leaderCommit: 1 }))
  assert.equal(rig.status.trust, 'untrusted')
  rig.syncDisk()
  assert.equal(rig.status.trust, 'trusted')
})

test('an answer to a question it has not asked, or that was refused, proves nothing; it asks again', () => {
  const { rig, request } = doubter()
  rig.receive('n2', { kind: 'read-index-reply', term: 1, id: request + 1, index: 0, refused: false })
  rig.receive('n3', { kind: 'read-index-reply', term: 1, id: request, index: 0, refused: false })
  const again = rig.receive('n2', { kind: 'read-index-reply', term: 1, id: request, index: 0, refused: true })
  assert.equal(rig.status.trust, 'untrusted')
  assert.deepEqual(summary(again), ['n2 read-index 1'])
})

test('its own reads are no questions about its trust', () => {
  const rig = new Rig({ trust: 'untrusted' }).follow('n2', 1)
  rig.take()
  rig.give({ kind: 'read', id: 1 })
  const [parcel] = rig.take()
  assert(parcel?.message.kind === 'read-index')
  assert.equal(parcel.message.afterLoss, false)
  rig.receive('n2', { kind: 'read-index-reply', term: 1, id: parcel.message.id, index: 0, refused: false })
  assert.equal(rig.status.trust, 'untrusted')
})

test('on the leader: the word of an untrusted node counts for no commit, no read and no quorum contact', () => {
  const rig = new Rig().leadFirmly()
  rig.receive('n2', appendReply({ matchIndex: 1, trusted: false }))
  rig.propose('x')
  rig.give({ kind: 'read', id: 1 })
  rig.receive('n2', appendReply({ matchIndex: 2, readSequence: 9, trusted: false }))
  assert.deepEqual([rig.status.commitIndex, rig.reads], [1, []])
  assert.deepEqual([rig.status.followers[0]?.state, rig.status.followers[0]?.matchIndex], ['replicate', 2], 'but it gets the log')
  for (let tick = 0; tick < rigElectionTicks; tick += 1) {
    rig.receive('n2', appendReply({ matchIndex: 2, trusted: false }))
    rig.give({ kind: 'tick' })
  }
  assert.deepEqual(rig.events.at(-2), { kind: 'stepped-down', term: 1, why: 'quorum-lost' })
})

test('on the leader: what an untrusted node says counts again when it is trusted', () => {
  const rig = new Rig().leadFirmly()
  rig.receive('n2', appendReply({ matchIndex: 1, trusted: false }))
  rig.propose('x')
  rig.receive('n2', appendReply({ matchIndex: 2, trusted: false }))
  rig.receive('n2', appendReply({ matchIndex: 2 }))
  assert.equal(rig.status.commitIndex, 2)
})

test('on the leader: what it had said before its loss counts no more, however late it comes', () => {
  const rig = new Rig().leadFirmly()
  rig.take()
  rig.propose('x')
  const before = newestNumber(rig, 'n2')
  rig.receive('n2', { kind: 'read-index', term: 1, id: 7, afterLoss: true })
  rig.receive('n2', appendReply({ matchIndex: 2, appendNumber: before }))
  assert.equal(rig.status.commitIndex, 1)
  rig.receive('n2', appendReply({ matchIndex: 2 }))
  assert.equal(rig.status.commitIndex, 2)
})

test('on the leader: what it had said in time, and not yet counted for a commit, counts no more either', () => {
  const rig = new Rig().leadFirmly()
  rig.holdDisk()
  rig.propose('x')
  rig.accepted('n2', 2)
  rig.receive('n2', { kind: 'read-index', term: 1, id: 7, afterLoss: true })
  rig.syncDisk()
  assert.equal(rig.status.commitIndex, 1)
  const answers = rig.accepted('n3', 1, max).flatMap(({ message }) => (message.kind === 'read-index-reply' ? [message.index] : []))
  rig.accepted('n2', 1)
  assert.deepEqual([answers, rig.status.commitIndex], [[1], 1], 'believed again, it has what the answer asks of it, and no more')
  rig.accepted('n3', 2)
  assert.equal(rig.status.commitIndex, 2, 'committed without it')
})

test('on the leader: the question of an untrusted node is answered by a majority without it', () => {
  const rig = new Rig().leadFirmly()
  rig.receive('n2', { kind: 'read-index', term: 1, id: 7, afterLoss: true })
  const answers = rig.receive('n2', appendReply({ matchIndex: 1, readSequence: max, trusted: false }))
  assert.deepEqual(
    answers.filter(({ message }) => message.kind === 'read-index-reply'),
    [],
  )
  const confirmed = rig.receive('n3', appendReply({ matchIndex: 1, readSequence: max }))
  assert.deepEqual(
    confirmed.filter(({ message }) => message.kind === 'read-index-reply').map(({ to }) => to),
    [n2],
  )
})

test('a refusal of what was acknowledged, in answer to an append sent after that, proves a loss', () => {
  const rig = leader()
  rig.give({ kind: 'unreachable', id: n2 })
  rig.take()
  rig.ticks(rigHeartbeatTicks)
  const parcels = rig.receive('n2', appendReply({ accepted: false, matchIndex: 3, hintIndex: 1, hintTerm: 1 }))
  assert.deepEqual(summary(parcels)[0], 'n2 distrust 1')
  assert.deepEqual(rig.events.at(-1), { kind: 'member-lost-entries', id: n2, acknowledgedIndex: 3 })
  assert.equal(rig.status.followers.find(({ id }) => id === n2)?.matchIndex, 0)
})

test('a refusal of something later proves a loss when its hint lies before what was acknowledged', () => {
  const rig = leader()
  rig.receive('n2', appendReply({ accepted: false, matchIndex: 9, hintIndex: 2, hintTerm: 1 }))
  assert.equal(rig.events.at(-1)?.kind, 'member-lost-entries')
  const whole = leader()
  whole.receive('n2', appendReply({ accepted: false, matchIndex: 9, hintIndex: 3, hintTerm: 1 }))
  assert.notEqual(whole.events.at(-1)?.kind, 'member-lost-entries')
})

test('a late refusal, of before the acknowledgement, proves nothing', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('a')
  const before = newestNumber(rig, 'n2')
  rig.accepted('n2', 2)
  const parcels = rig.receive('n2', appendReply({ accepted: false, matchIndex: 1, hintIndex: 0, hintTerm: 0, appendNumber: before }))
  assert.deepEqual(summary(parcels), [])
  assert.deepEqual(
    rig.events.filter(({ kind }) => kind === 'member-lost-entries'),
    [],
  )
})

test('a node that has lost entries and does not know counts for nothing until it does, and is told again', () => {
  const rig = leader()
  rig.receive('n2', appendReply({ accepted: false, matchIndex: 3, hintIndex: 1, hintTerm: 1 }))
  rig.propose('c')
  assert.equal(summary(rig.receive('n2', appendReply({ matchIndex: 4 }))).includes('n2 distrust 1'), true)
  assert.equal(rig.status.commitIndex, 3)
  rig.receive('n2', appendReply({ matchIndex: 4, trusted: false }))
  rig.receive('n2', appendReply({ matchIndex: 4, trusted: false }))
  assert.equal(rig.status.commitIndex, 3)
  rig.receive('n2', appendReply({ matchIndex: 4 }))
  assert.equal(rig.status.commitIndex, 4)
})

test('on the follower: the leader’s word is enough to distrust itself, anybody else’s is not', () => {
  const rig = new Rig().follow('n2', 1)
  rig.receive('n3', { kind: 'distrust', term: 1, acknowledgedIndex: 4 })
  assert.equal(rig.status.trust, 'trusted')
  rig.receive('n2', { kind: 'distrust', term: 1, acknowledgedIndex: 4 })
  assert.deepEqual([rig.status.trust, rig.events.at(-1)], ['untrusted', { kind: 'trust-changed', trust: 'untrusted' }])
  const count = rig.events.length
  rig.receive('n2', { kind: 'distrust', term: 1, acknowledgedIndex: 4 })
  assert.equal(rig.events.length, count)
})

test('a member that refuses this node as put back in time makes it distrust itself, whatever it was doing', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'distrusted' }, { kind: 'distrusted' })
  assert.deepEqual([rig.status.role, rig.status.trust], ['follower', 'untrusted'])
  assert.equal(rig.events.filter(({ kind }) => kind === 'trust-changed').length, 1)
})

test('an untrusted voter is not chosen to take over', () => {
  const rig = new Rig().leadFirmly()
  rig.receive('n2', appendReply({ matchIndex: 1, trusted: false }))
  rig.receive('n2', appendReply({ matchIndex: 1, trusted: false }))
  rig.give({ kind: 'transfer', to: undefined })
  assert.deepEqual(summary(rig.take()), ['n3 timeout-now 1'])
  assert.equal(rig.status.followers.find(({ id }) => id === n3)?.matchIndex, 1)
})

test('the refusal of an append of an earlier term, in which this node led too, proves nothing', () => {
  const rig = leader()
  rig.receive('n2', appendReply({ accepted: false, matchIndex: 0 }))
  assert(!rig.events.some(({ kind }) => kind === 'member-lost-entries'))
  assert.equal(rig.status.followers.find(({ id }) => id === n2)?.matchIndex, 3)
})

test('what a removed member acknowledged does not count for the next one of its name', () => {
  const rig = new Rig({ learners: ['n4'] }).leadFirmlyWithout('n4')
  const { id, raftAddress, apiUrl } = virtualMember('n4', 'learner')
  rig.propose('a')
  for (let tick = 0; tick < rigHeartbeatTicks; tick += 1) rig.give({ kind: 'tick' })
  const late = appendReply({ matchIndex: rig.status.lastIndex, appendNumber: newestNumber(rig, 'n4') })
  rig.give({ kind: 'change-membership', id: 1, change: { kind: 'remove', id } })
  rig.accepted('n2', rig.status.lastIndex)
  rig.give({
    kind: 'change-membership',
    id: 2,
    change: { kind: 'add-learner', member: { id, incarnation: 'of another', raftAddress, apiUrl } },
  })
  rig.accepted('n2', rig.status.lastIndex)
  rig.receive('n4', late)
  assert.equal(rig.status.followers.find((follower) => follower.id === id)?.matchIndex, 0)
})
