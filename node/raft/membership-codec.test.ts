import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMembership, encodeMembership, membersMax, parseMembership, parseNodeId } from './membership-codec.ts'
import { virtualMember, virtualMembership } from './virtual-node.ts'

test('a membership reads back as it was written', () => {
  const membership = virtualMembership(['n1', 'n2', 'n3'], ['n4'])
  assert.deepEqual(decodeMembership(encodeMembership(membership)), { ok: true, value: membership })
})

test('the epoch is written only when a lost quorum was replaced by hand, and read back', () => {
  const membership = { ...virtualMembership(['n1']), epoch: 3 }
  assert.deepEqual(decodeMembership(encodeMembership(membership)), { ok: true, value: membership })
  assert.equal(Buffer.from(encodeMembership(virtualMembership(['n1']))).includes('epoch'), false)
})

test('a read replica is a member of its own kind', () => {
  const membership = { members: [virtualMember('n1', 'voter'), virtualMember('n2', 'non-voter')] }
  assert.deepEqual(decodeMembership(encodeMembership(membership)), { ok: true, value: membership })
})

test('what is no membership is refused with its defect', () => {
  const member = virtualMember('n1', 'voter')
  const many = Array.from({ length: membersMax + 1 }, (_, n) => virtualMember(`n${String(n).padStart(3, '0')}`, 'voter'))
  const cases: readonly (readonly [string, unknown])[] = [
    ['membership_shape', null],
    ['membership_shape', []],
    ['membership_shape', {}],
    ['membership_shape', { members: {} }],
    ['membership_shape', { members: [], age: 1 }],
    ['membership_shape', { members: [], epoch: 1, age: 1 }],
    ['membership_field', { members: [], epoch: 0 }],
    ['membership_field', { members: [], epoch: '1' }],
    ['membership_field', { members: [], epoch: 2 ** 53 }],
    ['membership_shape', { members: [null] }],
    ['membership_shape', { members: [{ ...member, extra: 1 }] }],
    ['membership_field', { members: [{ ...member, suffrage: 'king' }] }],
    ['membership_field', { members: [{ ...member, id: '' }] }],
    ['membership_field', { members: [{ ...member, id: 'a,b' }] }],
    ['membership_field', { members: [{ ...member, incarnation: '' }] }],
    ['membership_field', { members: [{ ...member, raftAddress: 'x'.repeat(513) }] }],
    ['membership_field', { members: [{ ...member, apiUrl: 7 }] }],
    ['membership_order', { members: [virtualMember('n2', 'voter'), member] }],
    ['membership_order', { members: [member, member] }],
    ['membership_address_taken', { members: [member, { ...virtualMember('n2', 'voter'), raftAddress: member.raftAddress }] }],
    ['membership_too_large', { members: many }],
  ]
  for (const [defect, value] of cases)
    assert.deepEqual(parseMembership(value), { ok: false, problem: defect }, JSON.stringify(value)?.slice(0, 80))
})

test('bytes that are no JSON are refused', () => {
  assert.deepEqual(decodeMembership(Buffer.from('{')), { ok: false, problem: 'membership_not_json' })
  assert.deepEqual(decodeMembership(new Uint8Array([0xff, 0xfe])), { ok: false, problem: 'membership_not_json' })
})

test('a node id has 1 to 255 printable characters, no space and no comma', () => {
  for (const good of ['1', 'localhost:4002', '10.0.0.1:4002', 'a'.repeat(255)]) assert.equal(parseNodeId(good).ok, true, good)
  for (const bad of ['', ' ', 'a b', 'a,b', 'é', 'a\n', 'a'.repeat(256), 7, undefined])
    assert.equal(parseNodeId(bad).ok, false, String(bad))
})
