// Claims of the thesis about linearizable reads without log entries (§6.4), and the ways in which others have got them wrong.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { append, appendReply, type Append } from './rig-messages.ts'
import { Rig, rigElectionTicks, rigHeartbeatTicks, summary } from './rig.ts'

function sequenceOf(rig: Rig): number {
  const append = rig.take().find(({ message }) => message.kind === 'append')
  assert(append !== undefined, 'a round was sent')
  return (append.message as Append).readSequence
}

test('§6.4: a read is answered with the commit index when a majority has confirmed the leader', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'read', id: 7 })
  const sequence = sequenceOf(rig)
  assert.deepEqual(rig.reads, [])
  rig.accepted('n2', 1, sequence)
  assert.deepEqual(rig.reads, [{ id: 7, index: 1 }])
})

test('§6.4: a leader that cannot reach a majority answers no read', () => {
  const rig = new Rig({ voters: ['n1', 'n2', 'n3', 'n4', 'n5'] }).leadFirmly()
  rig.give({ kind: 'read', id: 7 })
  const sequence = sequenceOf(rig)
  rig.accepted('n2', 1, sequence)
  rig.accepted('n2', 1, sequence)
  assert.deepEqual(rig.reads, [], 'one confirmation, however often it comes, is no majority of five')
})

test('§6.4: learners and strangers confirm nothing', () => {
  const rig = new Rig({ learners: ['n4'] }).leadFirmly()
  rig.give({ kind: 'read', id: 7 })
  const sequence = sequenceOf(rig)
  rig.accepted('n4', 1, sequence)
  rig.accepted('stranger', 1, sequence)
  assert.deepEqual(rig.reads, [])
})

test('§6.4: a new leader answers no read before it has committed an entry of its own term', () => {
  const rig = new Rig({ log: [1, 1], hardState: { term: 1, votedFor: undefined } }).lead()
  rig.give({ kind: 'read', id: 7 })
  rig.accepted('n2', 2, 99)
  rig.accepted('n3', 2, 99)
  assert.deepEqual(rig.reads, [], 'its commit index may be older than what its predecessor acknowledged')
  rig.accepted('n2', 3)
  const sequence = sequenceOfLast(rig)
  rig.accepted('n2', 3, sequence)
  assert.deepEqual(rig.reads, [{ id: 7, index: 3 }])
})

function sequenceOfLast(rig: Rig): number {
  rig.ticks(0)
  return (rig.ticks(rigHeartbeatTicks).find(({ message }) => message.kind === 'append')!.message as Append).readSequence
}

test('§6.4: all reads of a step share one round, and those that come meanwhile share the next', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'read', id: 1 }, { kind: 'read', id: 2 })
  const rounds = rig.take()
  assert.deepEqual(summary(rounds), ['n2 append 1', 'n3 append 1'])
  const first = (rounds[0]!.message as Append).readSequence
  rig.give({ kind: 'read', id: 3 })
  rig.give({ kind: 'read', id: 4 })
  assert.deepEqual(rig.take(), [], 'a round is under way')
  rig.give({
    kind: 'message',
    from: 'n2' as never,
    message: appendReply({ matchIndex: 1, readSequence: first, appendNumber: 0 }),
  })
  assert.deepEqual(
    rig.reads.map(({ id }) => id),
    [1, 2],
  )
  const second = sequenceOf(rig)
  rig.accepted('n3', 1, second)
  assert.deepEqual(
    rig.reads.map(({ id }) => id),
    [1, 2, 3, 4],
  )
})

test('§6.4: a late or repeated confirmation of an older round confirms no newer read', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'read', id: 1 })
  const first = sequenceOf(rig)
  rig.accepted('n2', 1, first)
  rig.propose('written after the first read')
  rig.accepted('n2', 2)
  rig.give({ kind: 'read', id: 2 })
  for (const from of ['n2', 'n3', 'n2', 'n3']) rig.accepted(from, 2, first)
  assert.deepEqual(rig.reads, [{ id: 1, index: 1 }])
  rig.accepted('n3', 2, first + 1)
  assert.deepEqual(rig.reads.at(-1), { id: 2, index: 2 })
})

test('§6.4: a confirmation of a round that was never sent confirms nothing', () => {
  const rig = new Rig().leadFirmly()
  rig.accepted('n2', 1, 1_000)
  rig.accepted('n3', 1, 1_000)
  rig.give({ kind: 'read', id: 1 })
  assert.deepEqual(rig.reads, [])
})

test('§6.4: a confirmation of an older term confirms nothing', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'read', id: 1 })
  const sequence = sequenceOf(rig)
  rig.receive('n2', append({ term: 2, prevLogIndex: 1, prevLogTerm: 1, leaderCommit: 1 }))
  assert.deepEqual(rig.refused, [{ id: 1, code: 'leadership_lost' }])
  rig.receive('n3', appendReply({ matchIndex: 1, readSequence: sequence, appendNumber: 0 }))
  assert.deepEqual(rig.reads, [])
})

test('§6.4: a lost round is repeated by the next heartbeat, for the reads that wait behind it too', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'read', id: 1 })
  rig.give({ kind: 'read', id: 2 })
  rig.take()
  const beat = rig.ticks(rigHeartbeatTicks).find(({ to }) => to === 'n2')!.message as Append
  rig.accepted('n2', 1, beat.readSequence)
  assert.deepEqual(
    rig.reads.map(({ id }) => id),
    [1, 2],
  )
})

test('§6.4: a confirmation does not wait for the follower’s disk', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('x')
  rig.give({ kind: 'read', id: 1 })
  const round = rig.take().filter(({ to, message }) => to === 'n2' && (message as Append).readSequence > 0)
  assert.deepEqual(
    round.map(({ message }) => (message as Append).entries.length),
    [0],
  )
})

test('§6.4: a single voter is its own majority', () => {
  const rig = new Rig({ voters: ['n1'] }).lead()
  rig.give({ kind: 'read', id: 1 })
  assert.deepEqual(rig.reads, [{ id: 1, index: 1 }])
})

test('§6.4: a follower asks its leader for the index, once for all reads of a step', () => {
  const rig = new Rig().follow('n2', 5)
  rig.take()
  rig.give({ kind: 'read', id: 1 }, { kind: 'read', id: 2 })
  const asked = rig.take()
  assert.deepEqual(summary(asked), ['n2 read-index 5'])
  const { id } = asked[0]!.message as { id: number }
  rig.receive('n2', { kind: 'read-index-reply', term: 5, id, index: 12, refused: false })
  assert.deepEqual(rig.reads, [
    { id: 1, index: 12 },
    { id: 2, index: 12 },
  ])
})

test('§6.4: the leader answers a follower like a read of its own', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'message', from: 'n3' as never, message: { kind: 'read-index', term: 1, id: 44, afterLoss: false } })
  const sequence = sequenceOf(rig)
  const parcels = rig.accepted('n2', 1, sequence)
  assert.deepEqual(parcels, [{ to: 'n3', message: { kind: 'read-index-reply', term: 1, id: 44, index: 1, refused: false } }])
})

test('§6.4: who does not lead refuses a follower’s question at once; a stranger gets no answer', () => {
  const rig = new Rig().follow('n2', 5)
  assert.deepEqual(rig.receive('n3', { kind: 'read-index', term: 5, id: 4, afterLoss: false }), [
    { to: 'n3', message: { kind: 'read-index-reply', term: 5, id: 4, index: 0, refused: true } },
  ])
  assert.deepEqual(rig.receive('stranger', { kind: 'read-index', term: 5, id: 4, afterLoss: false }), [])
})

test('§6.4: a follower takes an index only from its present leader, in its present term, for a question it has open', () => {
  const rig = new Rig().follow('n2', 5)
  rig.take()
  rig.give({ kind: 'read', id: 1 })
  const { id } = rig.take()[0]!.message as { id: number }
  rig.receive('n3', { kind: 'read-index-reply', term: 5, id, index: 1, refused: false })
  rig.receive('n2', { kind: 'read-index-reply', term: 4, id, index: 1, refused: false })
  rig.receive('n2', { kind: 'read-index-reply', term: 5, id: id - 1, index: 1, refused: false })
  assert.deepEqual(rig.reads, [])
})

test('§6.4: an answer meant for an earlier life of the node answers no question of this one', () => {
  const rig = new Rig().follow('n2', 5)
  rig.take()
  rig.give({ kind: 'read', id: 1 })
  const { id } = rig.take()[0]!.message as { id: number }
  rig.node.crash(0)
  rig.node.restart()
  rig.follow('n2', 5)
  rig.take()
  rig.give({ kind: 'read', id: 1 })
  rig.receive('n2', { kind: 'read-index-reply', term: 5, id, index: 1, refused: false })
  assert.deepEqual(rig.reads, [])
})

test('§6.4: a follower’s read ends when the leader is lost, refuses, or stays silent for an election timeout', () => {
  const lost = new Rig().follow('n2', 5)
  lost.give({ kind: 'read', id: 1 })
  lost.follow('n3', 6)
  assert.deepEqual(lost.refused, [{ id: 1, code: 'leadership_lost' }])

  const refusing = new Rig().follow('n2', 5)
  refusing.take()
  refusing.give({ kind: 'read', id: 1 })
  const { id } = refusing.take()[0]!.message as { id: number }
  refusing.receive('n2', { kind: 'read-index-reply', term: 5, id, index: 0, refused: true })
  assert.deepEqual(refusing.refused, [{ id: 1, code: 'leader_unknown' }])

  const silent = new Rig().follow('n2', 5)
  silent.give({ kind: 'read', id: 1 })
  for (let tick = 0; tick < rigElectionTicks; tick += 1) {
    silent.give({ kind: 'tick' })
    if (tick % 4 === 0) silent.follow('n2', 5)
  }
  assert.deepEqual(silent.refused, [{ id: 1, code: 'leader_unknown' }])
})

test('§6.4: without a leader a read is refused at once', () => {
  const rig = new Rig()
  rig.give({ kind: 'read', id: 1 })
  assert.deepEqual(rig.refused, [{ id: 1, code: 'leader_unknown' }])
})
