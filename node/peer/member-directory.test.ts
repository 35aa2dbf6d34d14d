import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import { MemberDirectory } from './member-directory.ts'

function member(id: string): Member {
  return { id: id as NodeId, incarnation: `${id}-1`, raftAddress: `${id}:4002`, apiUrl: `https://${id}:4001`, suffrage: 'voter' }
}

function members(ids: string): Membership {
  return { members: Array.from(ids, member) }
}

function known(directory: MemberDirectory): string {
  return directory
    .others()
    .map(({ id }) => id)
    .sort()
    .join('')
}

function directoryOf(self: string): MemberDirectory {
  return new MemberDirectory(self as NodeId)
}

test('a node that has joined keeps those whom it was told of while it applies the memberships of the past', () => {
  const directory = directoryOf('d')
  directory.begin({ members: members('abcd'), origin: 'joined' })
  assert.equal(known(directory), 'abc')
  for (const past of ['', 'a', 'ab']) {
    directory.update(members(past))
    assert.equal(known(directory), 'abc', `after ${past}`)
  }
  directory.update(members('acd'))
  assert.equal(known(directory), 'ac', 'from the membership that lists it on, the log alone counts')
})

test('one who was removed is known no more, and nobody can vouch it back in', () => {
  const directory = directoryOf('a')
  directory.update(members('abc'))
  directory.update(members('ac'))
  assert.deepEqual(directory.removed('b' as NodeId), ['b-1'])
  assert.equal(directory.vouch(member('b')), false)
  assert.equal(known(directory), 'c')
  directory.update(members('abc'))
  assert.equal(known(directory), 'bc', 'unless the log takes it in again')
})

test('one who was vouched for is known until the log says it itself, and is not vouched for to others', () => {
  const directory = directoryOf('a')
  directory.update(members('ab'))
  assert.equal(directory.vouch(member('c')), true)
  assert.equal(directory.member('c' as NodeId)?.incarnation, 'c-1')
  assert.equal(directory.known('c' as NodeId), undefined)
  assert.equal(directory.vouch({ ...member('c'), incarnation: 'another' }), false)
  directory.update(members('abc'))
  directory.update(members('ab'))
  assert.equal(known(directory), 'b')
})

test('a node is never its own peer', () => {
  const directory = directoryOf('a')
  directory.update(members('ab'))
  assert.equal(directory.member('a' as NodeId), undefined)
  assert.equal(directory.vouch(member('a')), false)
  assert.equal(known(directory), 'b')
})
