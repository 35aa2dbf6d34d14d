// Claims of the thesis about writing to the leader's disk in parallel (§10.2.1), flow control (§10.2.1, pipelining) and what bounds them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { append, appendReply, type Append } from './rig-messages.ts'
import { Rig, rigHeartbeatTicks } from './rig.ts'
import { virtualLimits } from './virtual-node.ts'

test('§10.2.1: a leader sends entries while its own disk still writes them', () => {
  const rig = new Rig().leadFirmly()
  rig.holdDisk()
  rig.propose('x')
  assert.equal(rig.take().length, 2)
  assert.equal(rig.node.disk.durableLastIndex, 1)
})

test('§10.2.1: a leader counts itself only for what is on its own disk', () => {
  const rig = new Rig().leadFirmly()
  rig.holdDisk()
  rig.propose('x')
  rig.accepted('n2', 2)
  assert.equal(rig.status.commitIndex, 1, 'one durable copy of three')
  rig.syncDisk()
  assert.equal(rig.status.commitIndex, 2)
})

test('§10.2.1: followers can commit an entry before the leader’s own disk has it, but the leader applies it only afterwards', () => {
  const rig = new Rig().leadFirmly()
  rig.holdDisk()
  rig.propose('x')
  rig.accepted('n2', 2)
  rig.accepted('n3', 2)
  assert.equal(rig.status.commitIndex, 2)
  assert.equal(rig.node.toApply.length + rig.node.applied.length, 1, 'a crash now must not leave a state machine ahead of its log')
  rig.syncDisk()
  assert.equal(rig.node.applied.length, 2)
})

test('§10.2.1: a follower applies what is committed only when its own disk has it', () => {
  const rig = new Rig().follow('n2', 1)
  rig.holdDisk()
  rig.propose('ignored')
  const entries = new Rig().leadFirmly().node.disk.read({ from: 1, to: 1, bytesMax: 1 })
  rig.receive('n2', append({ leaderCommit: 1, entries }))
  assert.equal(rig.status.commitIndex, 1)
  assert.equal(rig.node.toApply.length + rig.node.applied.length, 0)
  rig.syncDisk()
  assert.equal(rig.node.applied.length, 1)
})

test('§5.2 of the paper with a single voter: nothing is committed before its disk has it', () => {
  const rig = new Rig({ voters: ['n1'] }).lead()
  rig.holdDisk()
  rig.propose('x')
  assert.equal(rig.status.commitIndex, 1)
  rig.syncDisk()
  assert.equal(rig.status.commitIndex, 2)
})

test('§10.2.1: entries are pipelined, but only as many messages and bytes as the window holds', () => {
  const limits = { ...virtualLimits, appendBytesMax: 100, inflightMessagesMax: 3 }
  const rig = new Rig({ limits }).leadFirmly()
  for (let n = 0; n < 10; n += 1) rig.propose('a command of some length, so that one fills a message', n)
  const toN2 = () => rig.take().filter(({ to, message }) => to === 'n2' && (message as Append).entries.length > 0).length
  assert.equal(toN2(), 3)
  rig.give({
    kind: 'message',
    from: 'n2' as never,
    message: appendReply({ matchIndex: 3, appendNumber: 0 }),
  })
  assert.equal(toN2(), 2, 'each confirmed message makes room for one')
})

test('§10.2.1: when an append is lost, the next heartbeat finds out and the follower gets everything again', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('lost')
  rig.take()
  const beat = rig.ticks(rigHeartbeatTicks).find(({ to }) => to === 'n2')!.message as Append
  assert.equal(beat.prevLogIndex, 2)
  const again = rig.receive('n2', appendReply({ accepted: false, matchIndex: 2, hintIndex: 1, hintTerm: 1, appendNumber: 0 }))
  assert.deepEqual(
    again.map(({ message }) => (message as Append).entries.map((entry) => entry.index)),
    [[2]],
  )
})

test('§10.2.1: when only the acknowledgement is lost, the answer to the next heartbeat replaces it', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('x')
  rig.ticks(rigHeartbeatTicks)
  rig.accepted('n2', 2)
  assert.equal(rig.status.commitIndex, 2)
})

test('uncommitted entries are bounded: beyond it proposals are refused as overloaded, and taken again when the majority catches up', () => {
  const rig = new Rig({ limits: { ...virtualLimits, uncommittedBytesMax: 1_000 } }).leadFirmly()
  for (let n = 1; n <= 50; n += 1) rig.propose('a command of some length', n)
  assert(rig.proposed.length > 5 && rig.proposed.length < 40)
  assert.equal(rig.refused.length, 50 - rig.proposed.length)
  assert.equal(rig.refused[0]?.code, 'overloaded')
  rig.accepted('n2', rig.status.lastIndex)
  const before = rig.proposed.length
  rig.propose('and now', 99)
  assert.equal(rig.proposed.length, before + 1)
})

test('entries that wait for the leader’s own disk are bounded too, though the others have committed them', () => {
  const rig = new Rig({ limits: { ...virtualLimits, uncommittedBytesMax: 1_000 } }).leadFirmly()
  rig.holdDisk()
  for (let n = 1; n <= 50; n += 1) {
    rig.propose('a command of some length', n)
    rig.accepted('n2', rig.status.lastIndex)
    rig.accepted('n3', rig.status.lastIndex)
  }
  assert.equal(rig.status.commitIndex, rig.status.lastIndex)
  assert.equal(rig.refused.at(-1)?.code, 'overloaded')
})

test('a command larger than the bound is taken when nothing else waits', () => {
  const rig = new Rig({ limits: { ...virtualLimits, uncommittedBytesMax: 100 } }).leadFirmly()
  rig.propose('x'.repeat(5_000), 1)
  assert.equal(rig.proposed.length, 1)
})

test('while the state machine is slow, what it has been given stays bounded', () => {
  const rig = new Rig().leadFirmly()
  rig.holdApply()
  for (let n = 0; n < 20; n += 1) {
    rig.propose(`${n}`)
    rig.accepted('n2', rig.status.lastIndex)
  }
  assert.equal(rig.status.commitIndex, 21)
  assert.equal(rig.node.toApply.length, 2, 'two batches, of one entry each')
  rig.give(rig.node.apply(2))
  assert.equal(rig.node.toApply.length, 18, 'the rest comes as one batch')
})

test('after a restart nothing is taken as committed but what was applied, and nothing is applied twice', () => {
  const rig = new Rig({ voters: ['n1'] }).lead()
  rig.propose('x')
  assert.equal(rig.node.applied.length, 2)
  rig.node.crash(0)
  rig.node.restart()
  assert.deepEqual([rig.status.commitIndex, rig.status.appliedIndex], [2, 2])
  rig.lead()
  assert.deepEqual(
    rig.node.applied.map((entry) => entry.index),
    [1, 2, 3],
  )
})
