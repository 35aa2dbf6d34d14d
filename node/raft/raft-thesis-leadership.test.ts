// Claims of the thesis about keeping, losing and handing over leadership: pre-vote (§9.6), loyalty (§4.2.3), check-quorum (§6.2), transfer (§3.10).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import { append } from './rig-messages.ts'
import { Rig, rigElectionTicks, summary } from './rig.ts'

const heartbeat = (term: number): Message => append({ term })
const preVote = (term: number, lastLogTerm = 9, lastLogIndex = 9): Message => ({ kind: 'pre-vote', term, lastLogIndex, lastLogTerm })
const vote = (term: number, transfer = false): Message => ({ kind: 'vote', term, lastLogIndex: 9, lastLogTerm: 9, transfer })
const n2 = 'n2' as NodeId
const n3 = 'n3' as NodeId

test('§9.6: before it stands, a node asks whether it would win, and changes neither term nor vote', () => {
  const rig = new Rig({ hardState: { term: 3, votedFor: n2 } })
  const parcels = rig.ticks(2 * rigElectionTicks - 1)
  assert.deepEqual(summary(parcels), ['n2 pre-vote 4', 'n3 pre-vote 4'])
  assert.deepEqual([rig.status.role, rig.status.term, rig.status.votedFor], ['pre-candidate', 3, 'n2'])
  assert.deepEqual(rig.node.disk.hardState, { term: 3, votedFor: 'n2' })
})

test('§9.6: who is asked changes nothing either, and may answer any number of candidates', () => {
  const rig = new Rig({ hardState: { term: 3, votedFor: n2 } })
  assert.deepEqual(summary(rig.receive('n2', preVote(9))), ['n2 pre-vote-reply 9 granted'])
  assert.deepEqual(summary(rig.receive('n3', preVote(4))), ['n3 pre-vote-reply 4 granted'])
  assert.deepEqual([rig.status.term, rig.status.votedFor], [3, 'n2'])
})

test('§9.6: a pre-vote puts nobody’s own election off', () => {
  const asked = new Rig()
  const quiet = new Rig()
  for (let tick = 0; tick < 2 * rigElectionTicks; tick += 1) {
    asked.give({ kind: 'tick' })
    quiet.give({ kind: 'tick' })
    assert.equal(asked.status.role, quiet.status.role, `tick ${tick}`)
    if (asked.status.role === 'follower') asked.receive('n2', preVote(1))
  }
})

test('§9.6: a candidate with an older log is refused at the pre-vote already', () => {
  const rig = new Rig({ log: [1, 2] })
  assert.equal(summary(rig.receive('n2', preVote(3, 1, 9)))[0], 'n2 pre-vote-reply 2 refused')
  assert.deepEqual(summary(rig.receive('n2', preVote(3, 2, 2))), ['n2 pre-vote-reply 3 granted'])
})

test('who is asked by a node that lacks something, and has no leader either, asks in its place, at once', () => {
  const rig = new Rig({ log: [1, 2] })
  assert.deepEqual(summary(rig.receive('n2', preVote(3, 1, 9))), ['n2 pre-vote-reply 2 refused', 'n2 pre-vote 3', 'n3 pre-vote 3'])
  assert.equal(rig.status.role, 'pre-candidate')
  assert.deepEqual(
    summary(rig.receive('n2', preVote(3, 1, 9))).length,
    3,
    'and again, should its question have come while the other was loyal',
  )
  const loyal = new Rig({ log: [1, 2] }).follow('n3', 2)
  assert.deepEqual(loyal.receive('n2', preVote(3, 1, 9)), [])
})

test('§9.6: a majority of pre-votes opens the real election, a majority of refusals ends the attempt', () => {
  const rig = new Rig({ voters: ['n1', 'n2', 'n3', 'n4', 'n5'] })
  rig.ticks(2 * rigElectionTicks - 1)
  rig.receive('n2', { kind: 'pre-vote-reply', term: 1, granted: true })
  rig.receive('n2', { kind: 'pre-vote-reply', term: 1, granted: true })
  assert.equal(rig.status.role, 'pre-candidate', 'one voter counts once')
  rig.receive('n3', { kind: 'pre-vote-reply', term: 1, granted: true })
  assert.equal(rig.status.role, 'candidate')

  const refused = new Rig()
  refused.ticks(2 * rigElectionTicks - 1)
  refused.receive('n2', { kind: 'pre-vote-reply', term: 0, granted: false })
  refused.receive('n3', { kind: 'pre-vote-reply', term: 0, granted: false })
  assert.deepEqual([refused.status.role, refused.status.term], ['follower', 0])
})

test('§9.6: a refusal from a later term brings the candidate up to it', () => {
  const rig = new Rig()
  rig.ticks(2 * rigElectionTicks - 1)
  rig.receive('n2', { kind: 'pre-vote-reply', term: 8, granted: false })
  assert.deepEqual([rig.status.role, rig.status.term], ['follower', 8])
})

test('§9.6: a node that was cut off for a hundred timeouts comes back in the term in which it left', () => {
  const rig = new Rig().follow('n2', 5)
  rig.ticks(100 * rigElectionTicks)
  assert.equal(rig.status.term, 5)
  rig.receive('n2', heartbeat(5))
  assert.deepEqual([rig.status.role, rig.status.leader], ['follower', 'n2'])
})

test('§4.2.3: who has heard its leader within an election timeout answers no request for votes, and keeps its term', () => {
  const rig = new Rig().follow('n2', 5)
  rig.ticks(rigElectionTicks - 1)
  assert.deepEqual(rig.receive('n3', vote(9)), [])
  assert.deepEqual(rig.receive('n3', preVote(9)), [])
  assert.deepEqual([rig.status.term, rig.status.leader], [5, 'n2'])
  const timed = new Rig({ seed: 4 }).follow('n2', 5)
  for (let tick = 0; tick < rigElectionTicks; tick += 1) timed.give({ kind: 'tick' })
  assert.deepEqual(summary(timed.receive('n3', preVote(9))), ['n3 pre-vote-reply 9 granted'])
})

test('§4.2.3: a leader that has its quorum is not disturbed by a request for votes', () => {
  const rig = new Rig().leadFirmly()
  assert.deepEqual(rig.receive('n3', vote(9)), [])
  assert.deepEqual(rig.receive('n3', preVote(9)), [])
  assert.equal(rig.status.role, 'leader')
})

test('§6.2: a leader that has heard of no majority for an election timeout steps down', () => {
  const rig = new Rig({ voters: ['n1', 'n2', 'n3', 'n4', 'n5'] }).leadFirmly()
  for (let tick = 0; tick < 3 * rigElectionTicks; tick += 1) {
    rig.give({ kind: 'tick' })
    rig.accepted('n2', 1)
    rig.accepted('n3', 1)
  }
  assert.equal(rig.status.role, 'leader', 'three of five are a majority')
  for (let tick = 0; tick < rigElectionTicks; tick += 1) {
    rig.give({ kind: 'tick' })
    rig.accepted('n2', 1)
  }
  assert.deepEqual([rig.status.role, rig.status.term], ['follower', 1])
  assert.deepEqual(rig.events.at(-2), { kind: 'stepped-down', term: 1, why: 'quorum-lost' })
})

test('§6.2: a lease shorter than the election timeout ends leadership sooner, and not before', () => {
  const rig = new Rig({ leaseTicks: 5 }).leadFirmly()
  for (let tick = 0; tick < 3 * rigElectionTicks; tick += 1) {
    rig.give({ kind: 'tick' })
    if (tick % 4 === 3) rig.accepted('n2', 1)
  }
  assert.equal(rig.status.role, 'leader', 'heard of a majority every four ticks')
  rig.accepted('n2', 1)
  for (let tick = 1; tick < 5; tick += 1) rig.give({ kind: 'tick' })
  assert.equal(rig.status.role, 'leader')
  rig.give({ kind: 'tick' })
  assert.equal(rig.status.role, 'follower')
  assert.throws(() => new Rig({ leaseTicks: rigElectionTicks + 1 }), /lease/)
})

test('§6.2: learners are no part of that majority', () => {
  const rig = new Rig({ voters: ['n1', 'n2', 'n3'], learners: ['n4', 'n5'] }).leadFirmly()
  for (let tick = 0; tick < rigElectionTicks; tick += 1) {
    rig.give({ kind: 'tick' })
    rig.accepted('n4', 1)
    rig.accepted('n5', 1)
  }
  assert.equal(rig.status.role, 'follower')
})

test('a follower whose connection to the leader is reset asks for pre-votes at once', () => {
  const rig = new Rig().follow('n2', 5)
  rig.take()
  rig.give({ kind: 'unreachable', id: n2 })
  assert.deepEqual(summary(rig.take()), ['n2 pre-vote 6', 'n3 pre-vote 6'])
  assert.deepEqual([rig.status.role, rig.status.term, rig.status.leader], ['pre-candidate', 5, undefined])
  assert.deepEqual(summary(rig.receive('n3', preVote(6))), ['n3 pre-vote-reply 6 granted'], 'its loyalty has gone with the connection')
})

test('where the leader lives after all, its next heartbeat makes the hasty node a follower again, in the same term', () => {
  const rig = new Rig().follow('n2', 5)
  rig.give({ kind: 'unreachable', id: n2 })
  rig.receive('n2', heartbeat(5))
  assert.deepEqual([rig.status.role, rig.status.term, rig.status.leader], ['follower', 5, 'n2'])
})

test('a reset connection to anybody but the leader means nothing to a follower', () => {
  const rig = new Rig().follow('n2', 5)
  rig.take()
  rig.give({ kind: 'unreachable', id: n3 })
  assert.deepEqual([rig.take(), rig.status.role], [[], 'follower'])
})

test('of two that ask for pre-votes in the same moment with equal logs, the one with the greater id steps back', () => {
  const [equal, longer, shorter] = [0, 1, 2].map(() => new Rig({ voters: ['n0', 'n1', 'n2'], log: [1, 1] }))
  for (const rig of [equal!, longer!, shorter!]) rig.ticks(2 * rigElectionTicks - 1)
  assert.deepEqual(summary(equal!.receive('n0', preVote(2, 1, 2))), ['n0 pre-vote-reply 2 granted'])
  assert.equal(equal!.status.role, 'follower')
  longer!.receive('n2', preVote(2, 1, 3))
  assert.equal(longer!.status.role, 'follower', 'a longer log goes before an id')
  shorter!.receive('n2', preVote(2, 1, 2))
  assert.equal(shorter!.status.role, 'pre-candidate')
})

test('§3.10: the leader brings the target up to date, then tells it to stand at once', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('x')
  rig.take()
  rig.give({ kind: 'transfer', to: n2 })
  assert.deepEqual(rig.take(), [], 'n2 lacks an entry')
  assert(summary(rig.accepted('n2', 2)).includes('n2 timeout-now 1'))
  assert(!summary(rig.accepted('n2', 2)).includes('n2 timeout-now 1'), 'it is told once')
})

test('§3.10: while it hands over, a leader takes no proposals; after an election timeout it takes them again', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'transfer', to: n2 })
  rig.propose('x', 1)
  assert.deepEqual(rig.refused, [{ id: 1, code: 'transfer_in_progress' }])
  for (let tick = 0; tick < rigElectionTicks; tick += 1) {
    rig.give({ kind: 'tick' })
    rig.accepted('n2', 1)
  }
  rig.propose('y', 2)
  assert.equal(rig.proposed.at(-1)?.id, 2)
})

test('§3.10: without a name the active voter with the longest log is chosen', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('x')
  rig.accepted('n3', 2)
  rig.take()
  rig.give({ kind: 'transfer', to: undefined })
  assert.deepEqual(summary(rig.take()), ['n3 timeout-now 1'])
})

test('§3.10: leadership is handed to no learner, no stranger and not to itself', () => {
  for (const to of ['n1', 'n4', 'stranger']) {
    const rig = new Rig({ learners: ['n4'] }).leadFirmly()
    rig.give({ kind: 'transfer', to: to as NodeId })
    rig.propose('x', 1)
    assert.deepEqual([rig.refused, rig.proposed.length], [[], 1], to)
  }
})

test('§3.10: the target stands without a pre-vote, and says why', () => {
  const rig = new Rig().follow('n2', 5)
  const parcels = rig.receive('n2', { kind: 'timeout-now', term: 5 })
  assert.deepEqual(summary(parcels), ['n2 vote 6', 'n3 vote 6'])
  assert.equal(
    parcels.every(({ message }) => message.kind === 'vote' && message.transfer),
    true,
  )
})

test('§3.10: a vote that the leader itself has asked for is given in spite of loyalty', () => {
  const rig = new Rig().follow('n2', 5)
  assert.deepEqual(summary(rig.receive('n3', vote(6, true))), ['n3 vote-reply 6 granted'])
  const leader = new Rig().leadFirmly()
  assert.deepEqual(summary(leader.receive('n3', vote(2, true))), ['n3 vote-reply 2 granted'])
  assert.equal(leader.status.role, 'follower')
})

test('§3.10: only the leader of the term can tell a node to stand', () => {
  const rig = new Rig().follow('n2', 5)
  assert.deepEqual(rig.receive('n3', { kind: 'timeout-now', term: 5 }), [])
  assert.deepEqual(rig.receive('n3', { kind: 'timeout-now', term: 4 }), [])
  const learner = new Rig({ voters: ['n2', 'n3'], learners: ['n1'] }).follow('n2', 5)
  assert.deepEqual(learner.receive('n2', { kind: 'timeout-now', term: 5 }), [])
})

test('ticks that come late and all at once make one round of heartbeats, not a storm', () => {
  const rig = new Rig().leadFirmly()
  rig.give(...Array.from({ length: rigElectionTicks - 1 }, () => ({ kind: 'tick' as const })))
  assert.deepEqual(summary(rig.take()), ['n2 append 1', 'n3 append 1'])
})
