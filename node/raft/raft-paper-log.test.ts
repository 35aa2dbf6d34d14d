// One test per claim of the Raft paper (extended version) about the log, its repair and what is committed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from './entry.ts'
import { append, appendReply, type Append, type AppendReply } from './rig-messages.ts'
import { Rig } from './rig.ts'
import { virtualEntry, virtualLimits, virtualLog } from './virtual-node.ts'

function terms(rig: Rig): readonly number[] {
  return Array.from({ length: rig.status.lastIndex }, (_, n) => rig.node.disk.termAt(n + 1))
}

test('§5.3: a leader sends a new entry to all followers and commits it when a majority has it', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('x')
  const appends = rig.take().map(({ to, message }) => [to, (message as Append).entries.map((entry: Entry) => entry.index)])
  assert.deepEqual(appends, [
    ['n2', [2]],
    ['n3', [2]],
  ])
  assert.equal(rig.status.commitIndex, 1)
  rig.accepted('n2', 2)
  assert.equal(rig.status.commitIndex, 2)
})

test('§5.3: how many must have an entry depends on the voters, learners do not count', () => {
  for (const { voters, learners, have, committed } of [
    { voters: 1, learners: 0, have: [], committed: true },
    { voters: 2, learners: 0, have: [], committed: false },
    { voters: 3, learners: 0, have: ['n2'], committed: true },
    { voters: 4, learners: 0, have: ['n2'], committed: false },
    { voters: 4, learners: 0, have: ['n2', 'n3'], committed: true },
    { voters: 5, learners: 0, have: ['n2'], committed: false },
    { voters: 5, learners: 0, have: ['n2', 'n2'], committed: false },
    { voters: 5, learners: 0, have: ['n2', 'n4'], committed: true },
    { voters: 3, learners: 1, have: ['n4'], committed: false },
  ]) {
    const names = Array.from({ length: voters + learners }, (_, n) => `n${n + 1}`)
    const rig = new Rig({ voters: names.slice(0, voters), learners: names.slice(voters) }).lead()
    for (const id of have) rig.accepted(id, 1)
    assert.equal(rig.status.commitIndex === 1, committed, JSON.stringify({ voters, learners, have }))
  }
})

test('§5.3: followers learn of the commit and apply entries in the order of the log', () => {
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ entries: virtualLog([1, 1, 1]), leaderCommit: 2 }))
  assert.deepEqual(
    rig.node.applied.map((entry) => entry.index),
    [1, 2],
  )
  rig.receive('n2', append({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 3 }))
  assert.deepEqual(
    rig.node.applied.map((entry) => entry.index),
    [1, 2, 3],
  )
})

test('§5.3: a leader tells its followers at once when the commit index moves', () => {
  const rig = new Rig().leadFirmly()
  rig.propose('x')
  const told = rig.accepted('n3', 2).map(({ to, message }) => `${to} ${(message as Append).leaderCommit}`)
  assert.deepEqual(told, ['n2 2', 'n3 2'])
})

test('§5.3: an append that does not fit is refused with a hint, one that fits is acknowledged', () => {
  for (const { log, prev, accepted, hint } of [
    { log: [1, 2], prev: [0, 0], accepted: true, hint: 0 },
    { log: [1, 2], prev: [1, 1], accepted: true, hint: 0 },
    { log: [1, 2], prev: [2, 2], accepted: true, hint: 0 },
    { log: [1, 2], prev: [1, 2], accepted: false, hint: 1 },
    { log: [1, 2], prev: [3, 3], accepted: false, hint: 2 },
    { log: [1, 1, 3, 3], prev: [4, 2], accepted: false, hint: 2 },
  ]) {
    const rig = new Rig({ log })
    const [parcel] = rig.receive('n2', append({ term: 4, prevLogIndex: prev[0]!, prevLogTerm: prev[1]! }))
    const reply = parcel!.message as AppendReply
    assert.equal(reply.accepted, accepted, JSON.stringify({ log, prev }))
    if (!accepted) assert.deepEqual([reply.matchIndex, reply.hintIndex], [prev[0], hint])
  }
})

test('§5.3: conflicting entries are removed and replaced, and only they', () => {
  for (const { log, prev, entries, result } of [
    { log: [1, 2, 3], prev: [2, 2], entries: [3], result: [1, 2, 3] },
    { log: [1, 2, 3], prev: [1, 1], entries: [3, 4], result: [1, 3, 4] },
    { log: [1, 2], prev: [0, 0], entries: [3, 4], result: [3, 4] },
    { log: [1, 2], prev: [0, 0], entries: [1], result: [1, 2] },
    { log: [1, 1, 1], prev: [1, 1], entries: [], result: [1, 1, 1] },
  ]) {
    const rig = new Rig({ log })
    rig.receive('n2', append({ term: 4, prevLogIndex: prev[0]!, prevLogTerm: prev[1]!, entries: virtualLog(entries, prev[0]! + 1) }))
    assert.deepEqual(terms(rig), result, JSON.stringify({ log, prev, entries }))
  }
})

test('§5.3: a delayed append that says less than the log holds removes nothing that was acknowledged', () => {
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ entries: virtualLog([1, 1, 1]) }))
  rig.receive('n2', append({ entries: virtualLog([1]) }))
  rig.receive('n2', append({}))
  assert.deepEqual(terms(rig), [1, 1, 1])
})

test('§5.5: a repeated append changes nothing and is acknowledged again', () => {
  const rig = new Rig().follow('n2', 1)
  const message = append({ entries: virtualLog([1, 1]), leaderCommit: 1 })
  const first = rig.receive('n2', message)
  assert.deepEqual(rig.receive('n2', message), first)
  assert.deepEqual([rig.status.lastIndex, rig.status.commitIndex], [2, 1])
})

test('figure 2: a follower commits at most up to the last entry that the append has checked', () => {
  const rig = new Rig({ log: [1, 2, 2] })
  rig.receive('n2', append({ term: 3, prevLogIndex: 1, prevLogTerm: 1, leaderCommit: 3 }))
  assert.equal(rig.status.commitIndex, 1, 'entries 2 and 3 may be left over from another leader')
  rig.receive('n2', append({ term: 3, prevLogIndex: 1, prevLogTerm: 1, entries: [virtualEntry(2, 3)], leaderCommit: 3 }))
  assert.equal(rig.status.commitIndex, 2)
})

test('§5.3, figure 7: a leader repairs every kind of divergent follower, a whole term at a time', () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  for (const log of [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    [],
  ]) {
    const leader = new Rig({ voters: ['n1', 'n2', 'n3'], log: leaderLog, hardState: { term: 7, votedFor: undefined } }).lead()
    const follower = new Rig({ voters: ['n1', 'n2', 'n3'], log, hardState: { term: 7, votedFor: undefined } })
    let rounds = 0
    let toFollower = leader.take().filter(({ to }) => to === 'n2')
    while (toFollower.length > 0) {
      rounds += 1
      assert(rounds < 12)
      // The rig's core is always n1: the follower plays n2 and takes the leader for n3.
      const replies = toFollower.flatMap(({ message }) => follower.receive('n3', message))
      toFollower = replies.flatMap(({ message }) => leader.receive('n2', message)).filter(({ to }) => to === 'n2')
    }
    assert.deepEqual(terms(follower), [...leaderLog, 8], JSON.stringify(log))
    assert(rounds <= 5, `${rounds} rounds for ${JSON.stringify(log)}`)
  }
})

test('§5.4.2, figure 8: an entry of an earlier term is not committed by counting its copies, only with one of the leader’s own term', () => {
  const rig = new Rig({ log: [1, 2], hardState: { term: 2, votedFor: undefined } }).lead()
  assert.equal(rig.status.term, 3)
  rig.accepted('n2', 2)
  rig.accepted('n3', 2)
  assert.equal(rig.status.commitIndex, 0, 'on all three nodes, and yet a node with a longer log of another term could replace it')
  rig.accepted('n2', 3)
  assert.equal(rig.status.commitIndex, 3)
})

test('§8: a leader begins its term with an entry of its own that does nothing', () => {
  const rig = new Rig({ log: [1] }).lead()
  const [entry] = rig.node.disk.read({ from: 2, to: 2, bytesMax: 1 })
  assert.deepEqual([entry?.kind, entry?.term], ['noop', 2])
})

test('§5.3: a leader never changes or removes entries of its own log', () => {
  const rig = new Rig({ log: [1, 1] }).leadFirmly()
  const before = terms(rig)
  rig.propose('x')
  rig.receive('n2', appendReply({ term: 2, accepted: false, matchIndex: 3, appendNumber: 0 }))
  assert.deepEqual(terms(rig), [...before, 2])
})

test('figure 2: an append is acknowledged when its entries are on disk, a heartbeat meanwhile only for what is', () => {
  const rig = new Rig().follow('n2', 1)
  rig.holdDisk()
  assert.deepEqual(rig.receive('n2', append({ entries: virtualLog([1, 1]) })), [])
  const [beat] = rig.receive('n2', append({ prevLogIndex: 2, prevLogTerm: 1 }))
  assert.equal((beat!.message as { matchIndex: number }).matchIndex, 0)
  rig.syncDisk()
  assert.deepEqual(
    rig.take().map(({ message }) => (message as { matchIndex: number }).matchIndex),
    [2],
  )
})

test('figure 2: an acknowledgement of replaced entries is not given, though a newer leader brings the same ones back', () => {
  const rig = new Rig().follow('n2', 1)
  rig.holdDisk()
  rig.receive('n2', append({ entries: virtualLog([1, 1]) }))
  rig.receive('n3', append({ term: 2, entries: [virtualEntry(1, 2)] }))
  rig.receive('n2', append({ term: 3, entries: virtualLog([1, 1]), leaderCommit: 2 }))
  rig.syncDisk(1)
  assert.deepEqual(rig.take(), [], 'the disk is about to hold the entries of term 2')
  assert.deepEqual(rig.node.applied, [])
  rig.syncDisk(1)
  assert.deepEqual(rig.take(), [])
  rig.syncDisk()
  assert.deepEqual(
    rig.take().map(({ message }) => [message.term, (message as { matchIndex: number }).matchIndex]),
    [[3, 2]],
  )
  assert.equal(rig.node.applied.length, 2)
})

test('an append with a gap or a descending term inside is ignored', () => {
  const rig = new Rig().follow('n2', 3)
  assert.deepEqual(rig.receive('n2', append({ term: 3, entries: [virtualEntry(2, 3)] })), [])
  assert.deepEqual(rig.receive('n2', append({ term: 3, entries: [virtualEntry(1, 3), virtualEntry(2, 2)] })), [])
  assert.deepEqual(rig.receive('n2', append({ term: 3, entries: [virtualEntry(1, 4)] })), [])
  assert.equal(rig.status.lastIndex, 0)
})

test('an acknowledgement of entries that the leader does not have is ignored', () => {
  const rig = new Rig().leadFirmly()
  rig.accepted('n2', 999)
  assert.equal(rig.status.followers.find(({ id }) => id === 'n2')?.matchIndex, 1)
})

test('the commit index never goes back', () => {
  const rig = new Rig().follow('n2', 1)
  rig.receive('n2', append({ entries: virtualLog([1, 1, 1]), leaderCommit: 3 }))
  rig.receive('n2', append({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 1 }))
  assert.equal(rig.status.commitIndex, 3)
})

test('§5.3: news of a commit rides on the next append, and goes by itself after its time', () => {
  const rig = new Rig({ limits: { ...virtualLimits, commitNewsTicks: 1 } }).lead()
  const told = (): readonly (readonly [string, number, number])[] =>
    rig.take().map(({ to, message }) => [to, (message as Append).entries.length, (message as Append).leaderCommit])
  rig.accepted('n2', 1)
  rig.accepted('n3', 1)
  rig.ticks(2)
  rig.take()
  rig.propose('x')
  rig.take()
  rig.accepted('n2', 2)
  assert.equal(rig.status.commitIndex, 2)
  assert.deepEqual(told(), [], 'nothing is sent for the news alone')
  rig.propose('y')
  assert.deepEqual(
    told(),
    [
      ['n2', 1, 2],
      ['n3', 1, 2],
    ],
    'it rides on the next append',
  )
  rig.accepted('n2', 3)
  assert.deepEqual(told(), [])
  rig.give({ kind: 'tick' })
  assert.deepEqual(
    told(),
    [
      ['n2', 0, 3],
      ['n3', 0, 3],
    ],
    'it goes by itself',
  )
  rig.give({ kind: 'tick' })
  rig.take()
  rig.give({ kind: 'tick' })
  assert.deepEqual(told(), [], 'once')
})
