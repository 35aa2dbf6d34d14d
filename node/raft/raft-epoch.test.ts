// A membership that was written by hand after a lost quorum (`peers.json`) begins a new epoch; what the log holds of older ones must not bring the lost members back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from './entry.ts'
import { changed } from './membership-change.ts'
import { decodeMembership, encodeMembership } from './membership-codec.ts'
import type { Membership, NodeId } from './membership.ts'
import { append } from './rig-messages.ts'
import { Rig } from './rig.ts'
import { virtualMembership } from './virtual-node.ts'

const recovered: Membership = { ...virtualMembership(['n1', 'n2']), epoch: 1 }

function entryOf(index: number, membership: Membership): Entry {
  return makeEntry({ index, term: 1, kind: 'membership', payload: encodeMembership(membership) })
}

test('memberships of an older epoch are applied and change nothing', () => {
  const rig = new Rig({ membership: recovered }).follow('n2', 1)
  rig.receive('n2', append({ leaderCommit: 1, entries: [entryOf(1, virtualMembership(['n1', 'n2', 'n3', 'n4', 'n5']))] }))
  assert.deepEqual([rig.status.appliedIndex, rig.status.membership], [1, recovered])
})

test('those of the same or of a newer epoch take effect', () => {
  const rig = new Rig({ membership: recovered }).follow('n2', 1)
  const same = { ...virtualMembership(['n1', 'n2', 'n3']), epoch: 1 }
  const newer = { ...virtualMembership(['n1']), epoch: 2 }
  rig.receive('n2', append({ leaderCommit: 1, entries: [entryOf(1, same)] }))
  assert.deepEqual(rig.status.membership, same)
  rig.receive('n2', append({ prevLogIndex: 1, prevLogTerm: 1, leaderCommit: 3, entries: [entryOf(2, newer), entryOf(3, same)] }))
  assert.deepEqual(rig.status.membership, newer, 'in the order of the log, and 3 is of an older one again')
})

test('a new leader tells the epoch with its first change, after it has committed an entry of its own term', () => {
  const rig = new Rig({ membership: recovered }).lead()
  assert.equal(rig.status.lastIndex, 1)
  rig.accepted('n2', 1)
  const told = rig.node.disk.read({ from: 2, to: 2, bytesMax: 1 })[0]
  assert.equal(told?.kind, 'membership')
  assert.deepEqual(decodeMembership(told.payload), { ok: true, value: recovered })
  rig.accepted('n2', 2)
  rig.ticks(3)
  assert.equal(rig.status.lastIndex, 2, 'once')
})

test('it waits for a change that the log still holds, as with any change', () => {
  const rig = new Rig({ membership: recovered })
  rig.receive('n2', append({ leaderCommit: 0, entries: [entryOf(1, virtualMembership(['n1', 'n2', 'n3']))] }))
  rig.holdApply()
  rig.lead()
  rig.accepted('n2', 2)
  assert.deepEqual([rig.status.commitIndex, rig.status.lastIndex], [2, 2])
  rig.give(rig.node.apply(2))
  assert.deepEqual([rig.status.lastIndex, rig.status.membership], [3, recovered])
})

test('who has seen the epoch in the log does not tell it again', () => {
  const rig = new Rig({ membership: recovered })
  rig.receive('n2', append({ leaderCommit: 1, entries: [entryOf(1, recovered)] }))
  rig.leadFirmly()
  assert.equal(rig.status.lastIndex, 2)
})

test('a cluster that was never recovered tells nothing', () => {
  const rig = new Rig().leadFirmly()
  assert.equal(rig.status.lastIndex, 1)
})

test('a change carries the epoch on', () => {
  assert.deepEqual(changed({ ...virtualMembership(['n1', 'n2', 'n3']), epoch: 4 }, { kind: 'remove', id: 'n3' as NodeId }), {
    ok: true,
    value: { ...virtualMembership(['n1', 'n2']), epoch: 4 },
  })
  const moved = changed(recovered, { kind: 'update-address', id: 'n2' as NodeId, raftAddress: 'x:1', apiUrl: 'https://x' })
  assert(moved.ok)
  assert.equal(moved.value.epoch, 1)
})

test('a snapshot of an older epoch does not bring the old membership back', () => {
  const rig = new Rig({ membership: recovered }).follow('n2', 1)
  rig.give(rig.node.stage({ point: { index: 2, term: 1, membership: virtualMembership(['n1', 'n2', 'n3']) }, applied: [] }))
  assert.deepEqual(rig.status.membership, recovered)
})
