import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from './entry.ts'
import { RaftLog } from './log.ts'
import { encodeMembership } from './membership-codec.ts'
import { MembershipLog } from './membership-log.ts'
import { VirtualDisk } from './virtual-disk.ts'
import { virtualEntry, virtualMembership } from './virtual-node.ts'

function change(index: number, term: number, voters: readonly string[]): Entry {
  return makeEntry({ index, term, kind: 'membership', payload: encodeMembership(virtualMembership(voters)) })
}

function over(entries: readonly Entry[], appliedIndex = 0): MembershipLog {
  const disk = new VirtualDisk()
  disk.write({ sequence: 1, hardState: undefined, entries })
  return new MembershipLog(new RaftLog(disk), appliedIndex)
}

test('at the start the unapplied part of the log is read', () => {
  const entries = [change(1, 1, ['n1']), virtualEntry(2, 1), change(3, 1, ['n1', 'n2'])]
  assert.equal(over(entries).hasUnapplied, true)
  assert.equal(over(entries, 2).hasUnapplied, true)
  assert.equal(over(entries, 3).hasUnapplied, false)
})

test('every change but the last is certainly committed', () => {
  assert.equal(over([change(1, 1, ['n1'])]).certainlyCommitted, 0)
  assert.equal(over([change(1, 1, ['n1']), virtualEntry(2, 1), change(3, 1, ['n1', 'n2'])]).certainlyCommitted, 1)
})

test('a change that is replaced with the tail of the log is forgotten', () => {
  const log = over([virtualEntry(1, 1)])
  log.appended([change(2, 1, ['n1', 'n2'])])
  assert.equal(log.hasUnappliedUpTo(2), true)
  log.appended([virtualEntry(2, 2)])
  assert.deepEqual([log.hasUnapplied, log.applied(2)], [false, []])
})

test('what is applied comes out once, in order', () => {
  const log = over([change(1, 1, ['n1']), change(2, 1, ['n1', 'n2']), change(3, 1, ['n3'])])
  assert.deepEqual(log.applied(2), [virtualMembership(['n1']), virtualMembership(['n1', 'n2'])])
  assert.deepEqual(log.applied(2), [])
  assert.equal(log.hasUnapplied, true)
  assert.equal(log.hasUnappliedUpTo(2), false)
})

test('a snapshot stands for the changes up to it, and when the log begins anew after it, for all', () => {
  const entries = [change(1, 1, ['n1']), virtualEntry(2, 1), change(3, 1, ['n1', 'n2'])]
  const kept = over(entries)
  kept.installed(2, { reset: false })
  assert.deepEqual([kept.hasUnappliedUpTo(2), kept.hasUnapplied], [false, true])
  const begun = over(entries)
  begun.installed(2, { reset: true })
  assert.equal(begun.hasUnapplied, false)
})

test('a committed change that cannot be read is a bug', () => {
  const broken = makeEntry({ index: 1, term: 1, kind: 'membership', payload: Buffer.from('{}') })
  assert.throws(() => over([broken]).applied(1), /can always be read/)
})
