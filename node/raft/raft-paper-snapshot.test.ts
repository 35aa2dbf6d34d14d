// Claims of Raft §7 (figure 13) about snapshots, which here are fetched by the follower.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from './entry.ts'
import type { NodeId } from './membership.ts'
import type { Message } from './message.ts'
import type { SnapshotPoint } from './raft-port.ts'
import { Rig, rigElectionTicks, rigHeartbeatTicks, summary } from './rig.ts'
import { virtualLog, virtualMembership, type VirtualSnapshot } from './virtual-node.ts'

const n2 = 'n2' as NodeId
const n3 = 'n3' as NodeId

type Reply = Extract<Message, { kind: 'append-reply' }>

function installSnapshot(fields: Partial<Extract<Message, { kind: 'install-snapshot' }>>): Message {
  return { kind: 'install-snapshot', term: 1, baseIndex: 5, baseTerm: 1, readSequence: 0, appendNumber: 1, ...fields }
}

function append(fields: Partial<Extract<Message, { kind: 'append' }>>): Message {
  return {
    kind: 'append',
    term: 1,
    prevLogIndex: 0,
    prevLogTerm: 0,
    leaderCommit: 0,
    readSequence: 0,
    appendNumber: 1,
    entries: [],
    ...fields,
  }
}

function snapshot(terms: readonly number[], voters = ['n1', 'n2', 'n3']): VirtualSnapshot {
  const point: SnapshotPoint = { index: terms.length, term: terms.at(-1) ?? 0, membership: virtualMembership(voters) }
  return { point, applied: virtualLog(terms) }
}

function indexes(entries: readonly Entry[]): readonly number[] {
  return entries.map((entry) => entry.index)
}

function onlyReply(rig: Rig, message: Message): Reply {
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
  rig.receive('n3', {
    kind: 'append-reply',
    term: 2,
    accepted: false,
    matchIndex: 5,
    hintIndex: 0,
    hintTerm: 0,
    readSequence: 0,
    appendNumber: 1,
    trusted: true,
  })
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
  rig.receive('n3', {
    kind: 'append-reply',
    term: 2,
    accepted: false,
    matchIndex: 5,
    hintIndex: 0,
    hintTerm: 0,
    readSequence: 0,
    appendNumber: 1,
    trusted: true,
  })
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
