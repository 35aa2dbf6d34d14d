// One test per claim of "In Search of an Understandable Consensus Algorithm" (extended version) about terms and elections.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from './message.ts'
import { append } from './rig-messages.ts'
import { Rig, rigElectionTicks, rigHeartbeatTicks, summary } from './rig.ts'
import { virtualEntry } from './virtual-node.ts'

const heartbeat = (term: number): Message => append({ term })
const vote = (term: number, lastLogTerm = 9, lastLogIndex = 9): Message => ({
  kind: 'vote',
  term,
  lastLogIndex,
  lastLogTerm,
  transfer: false,
})

test('§5.2: a node begins as a follower', () => {
  assert.equal(new Rig().status.role, 'follower')
})

test('§5.1: whoever sees a higher term becomes a follower in it, whatever it was', () => {
  const arranged = { follower: new Rig(), candidate: new Rig().stand(), leader: new Rig().lead() }
  for (const [role, rig] of Object.entries(arranged)) {
    assert.equal(rig.status.role, role)
    rig.receive('n2', heartbeat(7))
    assert.deepEqual([rig.status.role, rig.status.term, rig.status.leader, rig.status.votedFor], ['follower', 7, 'n2', undefined])
  }
})

test('§5.1: a request of a stale term is refused, and the refusal tells the newer term', () => {
  const rig = new Rig({ hardState: { term: 5, votedFor: undefined } })
  for (const message of [heartbeat(4), vote(4), { kind: 'pre-vote', term: 4, lastLogIndex: 9, lastLogTerm: 9 } as const]) {
    const answer = rig.receive('n2', message)[0]!.message
    assert.equal(answer.term, 5)
    const isRefused = 'granted' in answer ? !answer.granted : 'accepted' in answer && !answer.accepted
    assert.equal(isRefused, true, message.kind)
  }
  assert.equal(rig.status.leader, undefined)
})

test('§5.2: a leader sends heartbeats to all other members in every heartbeat interval', () => {
  const rig = new Rig().leadFirmly()
  const parcels = rig.ticks(rigHeartbeatTicks)
  assert.deepEqual(summary(parcels), ['n2 append 1', 'n3 append 1'])
})

test('§5.2: a heartbeat puts off the election', () => {
  const rig = new Rig()
  for (let round = 0; round < 10; round += 1) {
    rig.receive('n2', heartbeat(1))
    rig.ticks(rigElectionTicks - 1)
  }
  assert.equal(rig.status.role, 'follower')
})

test('§5.2: a candidate enters the next term, votes for itself and asks all other voters', () => {
  const rig = new Rig({ hardState: { term: 3, votedFor: undefined }, learners: ['n4'] }).stand()
  assert.deepEqual([rig.status.role, rig.status.term, rig.status.votedFor], ['candidate', 4, 'n1'])
  assert.deepEqual(summary(rig.take()).slice(-2), ['n2 vote 4', 'n3 vote 4'])
})

test('§5.2: the vote of a term goes to the first who asks, and to nobody else', () => {
  for (const [votedFor, from, granted] of [
    [undefined, 'n2', true],
    ['n2', 'n2', true],
    ['n3', 'n2', false],
  ] as const) {
    const rig = new Rig({ hardState: { term: 4, votedFor: votedFor as never } })
    assert.deepEqual(summary(rig.receive(from, vote(4))), [`${from} vote-reply 4 ${granted ? 'granted' : 'refused'}`])
  }
})

test('§5.2: the vote stands when a leader of the same term appears', () => {
  const rig = new Rig().stand()
  rig.receive('n2', heartbeat(1))
  assert.deepEqual([rig.status.role, rig.status.votedFor], ['follower', 'n1'])
  assert.deepEqual(summary(rig.receive('n3', vote(1))), ['n3 vote-reply 1 refused'])
})

test('§5.2: the vote stands when a leader steps down in its term for want of a quorum', () => {
  const rig = new Rig().leadFirmly()
  rig.ticks(rigElectionTicks)
  assert.deepEqual([rig.status.role, rig.status.term, rig.status.votedFor], ['follower', 1, 'n1'])
  assert.deepEqual(summary(rig.receive('n3', vote(1))), ['n3 vote-reply 1 refused'])
})

test('§5.2: a candidate gives way to the leader of its term', () => {
  const rig = new Rig().stand()
  rig.receive('n3', heartbeat(1))
  assert.deepEqual([rig.status.role, rig.status.leader, rig.status.term], ['follower', 'n3', 1])
})

test('§5.2: a majority of votes wins, each voter counting once', () => {
  for (const { voters, grants, refusals, role } of [
    { voters: 1, grants: [], refusals: [], role: 'leader' },
    { voters: 3, grants: ['n2'], refusals: [], role: 'leader' },
    { voters: 3, grants: [], refusals: [], role: 'candidate' },
    { voters: 3, grants: [], refusals: ['n2', 'n3'], role: 'follower' },
    { voters: 4, grants: ['n2'], refusals: [], role: 'candidate' },
    { voters: 4, grants: ['n2', 'n3'], refusals: ['n4'], role: 'leader' },
    { voters: 5, grants: ['n2', 'n2', 'n2'], refusals: [], role: 'candidate' },
    { voters: 5, grants: ['n2', 'n3'], refusals: ['n4', 'n5'], role: 'leader' },
    { voters: 5, grants: ['n2'], refusals: ['n3', 'n4', 'n5'], role: 'follower' },
    { voters: 5, grants: ['n2', 'stranger'], refusals: [], role: 'candidate' },
  ]) {
    const rig = new Rig({ voters: Array.from({ length: voters }, (_, n) => `n${n + 1}`) }).stand()
    for (const id of grants) rig.receive(id, { kind: 'vote-reply', term: 1, granted: true })
    for (const id of refusals) rig.receive(id, { kind: 'vote-reply', term: 1, granted: false })
    assert.equal(rig.status.role, role, JSON.stringify({ voters, grants, refusals }))
  }
})

test('§5.2: a vote of an earlier term does not count', () => {
  const rig = new Rig({ hardState: { term: 3, votedFor: undefined } }).stand()
  rig.receive('n2', { kind: 'vote-reply', term: 3, granted: true })
  assert.equal(rig.status.role, 'candidate')
})

test('§5.2: a candidate that neither wins nor loses tries again in a new term', () => {
  const rig = new Rig().stand()
  rig.ticks(2 * rigElectionTicks)
  rig.stand()
  assert.deepEqual([rig.status.role, rig.status.term], ['candidate', 2])
})

test('§5.2: election timeouts are spread over one to two of the base timeout, differently for different nodes', () => {
  const timeouts = Array.from({ length: 100 }, (_, seed) => {
    const rig = new Rig({ seed })
    let ticks = 0
    while (rig.status.role === 'follower') {
      rig.ticks(1)
      ticks += 1
    }
    return ticks
  })
  assert(Math.min(...timeouts) >= rigElectionTicks && Math.max(...timeouts) < 2 * rigElectionTicks)
  assert.equal(new Set(timeouts).size, rigElectionTicks, 'each value of the range occurs')
})

test('§5.4.1: a voter refuses a candidate whose log is older than its own: by term first, then by length', () => {
  for (const { log, term, index, granted } of [
    { log: [1], term: 1, index: 1, granted: true },
    { log: [1], term: 1, index: 2, granted: true },
    { log: [1, 1], term: 1, index: 1, granted: false },
    { log: [1], term: 2, index: 1, granted: true },
    { log: [1, 1], term: 2, index: 1, granted: true },
    { log: [2], term: 1, index: 1, granted: false },
    { log: [2], term: 1, index: 2, granted: false },
    { log: [1, 2], term: 1, index: 9, granted: false },
    { log: [], term: 0, index: 0, granted: true },
  ]) {
    const rig = new Rig({ log })
    const expected = `n2 vote-reply 5 ${granted ? 'granted' : 'refused'}`
    assert.deepEqual(summary(rig.receive('n2', vote(5, term, index))), [expected], JSON.stringify({ log, term, index }))
  }
})

test('figure 2: term and vote are on disk before a vote is answered', () => {
  const rig = new Rig()
  rig.holdDisk()
  assert.deepEqual(rig.receive('n2', vote(3)), [])
  rig.syncDisk()
  assert.deepEqual(summary(rig.take()), ['n2 vote-reply 3 granted'])
  assert.deepEqual(rig.node.disk.hardState, { term: 3, votedFor: 'n2' })
})

test('figure 2: a repeated request for the same vote waits for the disk like the first', () => {
  const rig = new Rig()
  rig.holdDisk()
  rig.receive('n2', vote(3))
  assert.deepEqual(rig.receive('n2', vote(3)), [])
})

test('figure 2: an acknowledgement in a new term waits until that term is on disk', () => {
  const rig = new Rig({ log: [1] })
  rig.holdDisk()
  assert.deepEqual(rig.receive('n2', { ...heartbeat(3), prevLogIndex: 1, prevLogTerm: 1 } as Message), [])
  rig.syncDisk()
  assert.deepEqual(summary(rig.take()), ['n2 append-reply 3'])
})

test('figure 2: a candidate asks for votes, and counts its own, only when its term and its whole log are on disk', () => {
  const rig = new Rig({ voters: ['n1'] })
  rig.holdDisk()
  rig.ticks(2 * rigElectionTicks)
  assert.equal(rig.status.role, 'candidate', 'a single voter waits for its own vote')
  rig.syncDisk()
  assert.equal(rig.status.role, 'leader')

  const other = new Rig().follow('n2', 1)
  other.holdDisk()
  other.receive('n2', { ...heartbeat(1), entries: [virtualEntry(1, 1)] } as Message)
  other.stand()
  assert.deepEqual(
    summary(other.take()).filter((line) => line.includes(' vote ')),
    [],
  )
  other.syncDisk(1)
  assert.deepEqual(
    summary(other.take()).filter((line) => line.includes(' vote ')),
    [],
    'the entry is on disk, the term is not',
  )
  other.syncDisk()
  assert.deepEqual(summary(other.take()), ['n2 vote 2', 'n3 vote 2'])
})

test('figure 2: what was promised in an older term is not sent when the disk comes to it', () => {
  const rig = new Rig()
  rig.holdDisk()
  rig.receive('n2', vote(3))
  rig.receive('n3', vote(4))
  rig.syncDisk()
  assert.deepEqual(summary(rig.take()), ['n3 vote-reply 4 granted'])
})

test('§5.2: after a restart the vote of the term still stands', () => {
  const rig = new Rig()
  rig.receive('n2', vote(3))
  rig.node.crash(0)
  rig.node.restart()
  assert.deepEqual(summary(rig.receive('n3', vote(3))), ['n3 vote-reply 3 refused'])
})

test('a lone voter stands at its first tick: there is nobody to wait for', () => {
  const alone = new Rig({ voters: ['n1'], learners: ['n2'] })
  alone.ticks(1)
  assert.equal(alone.status.role, 'leader')
  const learner = new Rig({ voters: ['n2'], learners: ['n1'] })
  learner.ticks(1)
  assert.equal(learner.status.role, 'learner')
})

test('two leaders in one term are never tolerated', () => {
  const follower = new Rig().follow('n2', 1)
  assert.throws(() => follower.receive('n3', heartbeat(1)), /two leaders in term 1/)
  const leader = new Rig().lead()
  assert.throws(() => leader.receive('n3', heartbeat(1)), /two leaders in term 1/)
})
