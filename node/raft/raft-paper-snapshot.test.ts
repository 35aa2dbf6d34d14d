// Claims of Raft §7 (figure 13) about snapshots, which here are fetched by the follower.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from './entry.ts'
import { encodeMembership } from './membership-codec.ts'
import type { NodeId } from './membership.ts'
import type { Message, Parcel } from './message.ts'
import type { SnapshotPoint } from './raft-port.ts'
import { append, appendReply, type AppendReply } from './rig-messages.ts'
import { Rig, rigElectionTicks, rigHeartbeatTicks, summary } from './rig.ts'
import { virtualLog, virtualMembership, type VirtualSnapshot } from './virtual-node.ts'

const n2 = 'n2' as NodeId
const n3 = 'n3' as NodeId

function installSnapshot(fields: Partial<Extract<Message, { kind: 'install-snapshot' }>>): Message {
  return { kind: 'install-snapshot', term: 1, baseIndex: 5, baseTerm: 1, readSequence: 0, appendNumber: 1, ...fields }
}

function snapshot(terms: readonly number[], voters = ['n1', 'n2', 'n3']): VirtualSnapshot {
  const point: SnapshotPoint = { index: terms.length, term: terms.at(-1) ?? 0, membership: virtualMembership(voters) }
  return { point, applied: virtualLog(terms) }
}

function indexes(entries: readonly Entry[]): readonly number[] {
  return entries.map((entry) => entry.index)
}

function onlyReply(rig: Rig, message: Message): AppendReply {
  const [parcel] = rig.receive('n2', message)
  assert(parcel?.message.kind === 'append-reply')
  return parcel.message
}

/** n1 leads with all of its log applied and given up, and n3 has not been heard of. */
function compactedLeader(): Rig {
  const rig = new Rig({ log: [1, 1, 1, 1, 1] }).leadFirmlyWithout('n3')
  assert.equal(rig.status.appliedIndex, 6)
  rig.node.disk.compact(5)
  return rig
}

test('§7: a follower that needs what the log no longer holds is told to fetch a snapshot, with each heartbeat again', () => {
  const rig = compactedLeader()
  rig.receive('n3', appendReply({ term: 2, accepted: false, matchIndex: 5, appendNumber: 1 }))
  const expected = { kind: 'install-snapshot', term: 2, baseIndex: 5, baseTerm: 1, readSequence: 0 }
  assert.partialDeepStrictEqual(
    rig.ticks(rigHeartbeatTicks).find(({ to }) => to === 'n3'),
    { message: expected },
  )
  assert.deepEqual(rig.status.followers.find(({ id }) => id === 'n3')?.state, 'snapshot')
  assert.deepEqual(
    rig.events.filter(({ kind }) => kind === 'snapshot-needed'),
    [{ kind: 'snapshot-needed', id: 'n3' }],
  )
})

test('§7: a follower without the entry at the base says so, and says to its surroundings what it needs until it has it', () => {
  const rig = new Rig({ log: [1, 1] }).follow('n2', 1)
  const reply = onlyReply(rig, installSnapshot({ readSequence: 3, appendNumber: 7 }))
  assert.deepEqual([reply.accepted, reply.matchIndex, reply.hintIndex, reply.readSequence, reply.appendNumber], [false, 5, 2, 3, 7])
  assert.deepEqual(rig.give({ kind: 'tick' }).fetchSnapshot, { from: n2, indexMin: 5 })
  assert.deepEqual(rig.give(rig.node.stage(snapshot([1, 1, 1, 1, 1, 1]))).fetchSnapshot, undefined)
  assert.deepEqual([rig.status.commitIndex, rig.status.appliedIndex, rig.status.lastIndex], [6, 6, 6])
})

test('figure 13, step 7: a log that disagrees with the snapshot is given up as a whole, and appends go on after it', () => {
  const rig = new Rig({ log: [1, 1, 1, 1, 1, 1, 1], hardState: { term: 2, votedFor: undefined } }).follow('n2', 2)
  const output = rig.give(rig.node.stage(snapshot([1, 1, 1, 2, 2], ['n1', 'n2', 'n9'])))
  assert.deepEqual(output.install?.index, 5)
  assert.deepEqual(output.persist?.reset, { index: 5, term: 2 })
  assert.deepEqual(rig.status.membership, virtualMembership(['n1', 'n2', 'n9']))
  assert.deepEqual([rig.node.disk.base.index, rig.node.disk.lastIndex()], [5, 5])
  const more = virtualLog([2, 2], 6)
  rig.receive('n2', append({ term: 2, prevLogIndex: 5, prevLogTerm: 2, leaderCommit: 7, entries: more }))
  assert.deepEqual(indexes(rig.node.applied), [1, 2, 3, 4, 5, 6, 7])
})

test('figure 13, step 6: a log that holds the last entry of the snapshot is kept, with what follows', () => {
  const rig = new Rig({ log: [1, 1, 1, 1] }).follow('n2', 1)
  const output = rig.give(rig.node.stage(snapshot([1, 1, 1])))
  assert.deepEqual([output.install?.index, output.persist], [3, undefined])
  assert.deepEqual([rig.status.commitIndex, rig.status.appliedIndex, rig.status.lastIndex], [3, 3, 4])
})

test('a snapshot that ends in the middle of what is being written waits for the disk: a power failure must not leave a state ahead of its log', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 1)
  rig.holdDisk()
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, entries: virtualLog([1, 1], 2) }))
  const staged = rig.node.stage(snapshot([1, 1]))
  assert(rig.node.raft.isWriting(2))
  assert.equal(rig.give(staged).install, undefined)
  rig.syncDisk(1)
  assert(!rig.node.raft.isWriting(2))
  assert.equal(rig.give(staged).install?.index, 2)
})

test('§7: a snapshot that is not newer than what is applied changes nothing', () => {
  const rig = new Rig({ log: [1, 1, 1] }).follow('n2', 1)
  rig.receive('n2', append({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 3 }))
  for (const terms of [
    [1, 1],
    [1, 1, 1],
  ])
    assert.equal(rig.give(rig.node.stage(snapshot(terms))).install, undefined)
  assert.equal(rig.status.appliedIndex, 3)
})

test('a follower that has installed a snapshot is served from the log again', () => {
  const rig = compactedLeader()
  rig.receive('n3', appendReply({ term: 2, accepted: false, matchIndex: 5, appendNumber: 1 }))
  assert.deepEqual(
    summary(rig.accepted('n3', 5)).filter((line) => line.startsWith('n3')),
    ['n3 append 2'],
  )
  assert.equal(rig.status.followers.find(({ id }) => id === n3)?.state, 'replicate')
})

test('what was promised on the strength of a log that has ended is not said, and nothing counts as written until the new one is', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 1)
  rig.holdDisk()
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, entries: virtualLog([1, 1, 1], 2) }))
  rig.receive('n3', append({ term: 2, prevLogIndex: 1, prevLogTerm: 1 }))
  rig.give(rig.node.stage(snapshot([1, 2, 2])))
  rig.take()
  rig.receive('n3', append({ term: 2, prevLogIndex: 3, prevLogTerm: 2, leaderCommit: 4, entries: virtualLog([2], 4) }))
  assert.deepEqual(rig.take(), [])
  // The writes of the old log, and the new term.
  rig.syncDisk(2)
  assert.equal(rig.node.toApply.length, 0, 'entry 4 is not on disk, though an older write was as long')
  assert.deepEqual(
    rig.take().filter(({ message }) => message.kind === 'append-reply' && message.matchIndex > 1),
    [],
  )
  rig.syncDisk()
  assert.deepEqual(indexes(rig.node.applied), [1, 2, 3, 4])
})

test('a lost state machine gets nothing more, and is replaced by a snapshot although the log lacks nothing', () => {
  const rig = new Rig({ log: [1, 1, 1] }).follow('n2', 1)
  rig.receive('n2', append({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 2 }))
  assert.equal(rig.status.appliedIndex, 2)
  assert.deepEqual(rig.give({ kind: 'state-lost' }).fetchSnapshot, { from: n2, indexMin: 2 })
  rig.receive('n2', append({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 3 }))
  assert.equal(rig.status.appliedIndex, 2, 'nothing is given out')
  assert.equal(rig.give(rig.node.stage(snapshot([1, 1]))).install?.index, 2)
  assert.deepEqual(indexes(rig.node.applied), [1, 2, 3])
})

test('a leader whose state is lost hands over first', () => {
  const rig = new Rig().leadFirmly()
  rig.give({ kind: 'state-lost' })
  assert.deepEqual(summary(rig.take()), ['n2 timeout-now 1'])
  assert.equal(rig.give({ kind: 'tick' }).fetchSnapshot, undefined)
  rig.propose('x', 1)
  assert.deepEqual(rig.refused, [{ id: 1, code: 'transfer_in_progress' }])
  rig.ticks(rigElectionTicks)
})

test('a leader that was elected without its state leads for an election timeout before it hands over: with all of them like that, terms would race', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 1)
  rig.give({ kind: 'state-lost' })
  rig.lead()
  const handovers = (parcels: readonly Parcel[]) => parcels.filter(({ message }) => message.kind === 'timeout-now').length
  const hear = () => ['n2', 'n3'].flatMap((follower) => rig.accepted(follower, rig.status.lastIndex))
  assert.equal(handovers(hear()), 0)
  assert.equal(handovers(rig.ticks(rigElectionTicks - 1)), 0)
  assert.equal(handovers(hear()), 0)
  assert.equal(handovers(rig.ticks(1)), 1)
})

test('an acknowledgement of entries that a snapshot has ended is never sent, though its write is done', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 1)
  rig.holdDisk()
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, entries: virtualLog([1, 1, 1, 1], 2) }))
  // Made by a node that is in a later term already.
  rig.give(rig.node.stage(snapshot([1, 2, 2])))
  rig.take()
  rig.syncDisk(1)
  assert.deepEqual(rig.take(), [])
})

test('a leader does not give up its log for a snapshot of a later term: it will as the follower that it is then', () => {
  const rig = new Rig().leadFirmly()
  assert.equal(rig.give(rig.node.stage(snapshot([1, 2, 2, 2, 2]))).install, undefined)
  assert.deepEqual([rig.status.role, rig.status.lastIndex, rig.status.appliedIndex], ['leader', 1, 1])
})

test('§7: a change of membership that stood in the log before the snapshot does not come back after it', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 1)
  const old = makeEntry({ index: 2, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(['n1', 'n2', 'n3', 'n4'])) })
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, entries: [old] }))
  rig.give(rig.node.stage(snapshot([1, 2, 2])))
  rig.receive('n2', append({ term: 2, prevLogIndex: 3, prevLogTerm: 2, leaderCommit: 4, entries: virtualLog([2], 4) }))
  assert.deepEqual([rig.status.appliedIndex, rig.status.membership], [4, virtualMembership(['n1', 'n2', 'n3'])])
})

test('§7: being told to fetch a snapshot is hearing from the leader', () => {
  const rig = new Rig().follow('n2', 1)
  for (let tick = 0; tick < 5 * rigElectionTicks; tick += 1) {
    rig.receive('n2', installSnapshot({}))
    rig.ticks(1)
  }
  assert.deepEqual(
    rig.events.filter(({ kind }) => kind === 'became-pre-candidate'),
    [],
  )
})

test('§5.1: a leader of an older term that tells to fetch a snapshot is told of the newer one', () => {
  const rig = new Rig({ hardState: { term: 4, votedFor: undefined } })
  assert.deepEqual(summary(rig.receive('n2', installSnapshot({ term: 3 }))), ['n2 append-reply 4'])
  assert.equal(rig.give({ kind: 'tick' }).fetchSnapshot, undefined)
})

test('of two snapshots under way, and the same one twice, the newest is what remains', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 1)
  const outputs = [
    [1, 2, 2],
    [1, 2, 2, 2],
    [1, 2, 2, 2],
    [1, 2, 2],
  ].map((terms) => rig.give(rig.node.stage(snapshot(terms))))
  assert.deepEqual(
    outputs.map(({ install }) => install?.index),
    [3, 4, undefined, undefined],
  )
  assert.deepEqual([rig.status.appliedIndex, rig.node.disk.base.index], [4, 4])
})

test('an append from before the snapshot, that arrives after it, changes nothing and is answered', () => {
  const rig = new Rig({ log: [1] }).follow('n2', 2)
  rig.give(rig.node.stage(snapshot([1, 2, 2, 2])))
  const reply = onlyReply(rig, append({ term: 2, prevLogIndex: 1, prevLogTerm: 1, entries: virtualLog([2, 2], 2) }))
  assert.deepEqual([reply.accepted, reply.matchIndex, rig.status.lastIndex], [true, 3, 4])
  const over = onlyReply(rig, append({ term: 2, prevLogIndex: 2, prevLogTerm: 2, entries: virtualLog([2, 2, 2], 3) }))
  assert.deepEqual([over.accepted, over.matchIndex, rig.status.lastIndex], [true, 5, 5])
})

test('a base that moves past what a waiting follower needs turns it to a snapshot at the next heartbeat', () => {
  const rig = new Rig({ log: [1, 1, 1, 1, 1] }).leadFirmlyWithout('n3')
  rig.accepted('n3', 3)
  rig.give({ kind: 'unreachable', id: n3 })
  rig.node.disk.compact(5)
  assert.deepEqual(summary(rig.ticks(rigHeartbeatTicks)).filter((line) => line.startsWith('n3'))[0], 'n3 install-snapshot 2')
  rig.node.disk.compact(6)
  const newest = rig.ticks(rigHeartbeatTicks).find(({ to }) => to === n3)
  assert.partialDeepStrictEqual(newest, { message: { baseIndex: 6, baseTerm: 2 } })
  rig.accepted('n3', 5)
  assert.equal(rig.status.followers.find(({ id }) => id === n3)?.state, 'snapshot')
})

test('a leader with everything given up still commits, reads and adds', () => {
  const rig = compactedLeader()
  rig.node.disk.compact(6)
  rig.propose('x')
  rig.accepted('n2', 7)
  assert.deepEqual([rig.status.commitIndex, rig.status.appliedIndex, rig.status.lastTerm], [7, 7, 2])
})

test('what a snapshot has replaced agrees with every leader’s log, also for a vote', () => {
  const rig = new Rig({ log: [1, 1, 1] }).follow('n2', 1)
  rig.give(rig.node.stage(snapshot([1, 2, 2, 2])))
  const vote: Message = { kind: 'vote', term: 3, lastLogIndex: 3, lastLogTerm: 2, transfer: true }
  assert.deepEqual(summary(rig.receive('n3', vote)), ['n3 vote-reply 3 refused'])
  assert.deepEqual(summary(rig.receive('n3', { ...vote, lastLogIndex: 4 })), ['n3 vote-reply 3 granted'])
})
