import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import { compactionIndex, neededAfterIndex, type CompactionFacts } from './compaction.ts'
import { ids, World } from './replica-world.ts'

const facts: CompactionFacts = {
  baseIndex: 1_000,
  lastIndex: 2_000,
  durableIndex: 1_900,
  trailingEntries: 100,
  neededAfterIndex: Infinity,
  logBytes: 10_000,
  logBytesMax: 20_000,
}

function status(followers: readonly Partial<RaftStatus['followers'][number]>[]): RaftStatus {
  const whole = followers.map((one) => ({
    id: 'x' as NodeId,
    matchIndex: 0,
    nextIndex: 1,
    state: 'replicate' as const,
    active: true,
    ...one,
  }))
  return { followers: whole } as unknown as RaftStatus
}

test('what the database holds durably may go, but for the trailing entries', () => {
  assert.equal(compactionIndex(facts), 1_800)
  assert.equal(compactionIndex({ ...facts, trailingEntries: 0 }), 1_900)
  assert.equal(compactionIndex({ ...facts, trailingEntries: 900 }), undefined)
  assert.equal(compactionIndex({ ...facts, trailingEntries: 5_000 }), undefined)
})

test('nothing goes that the database does not hold durably', () => {
  assert.equal(compactionIndex({ ...facts, durableIndex: 0, trailingEntries: 0 }), undefined)
  assert.equal(compactionIndex({ ...facts, durableIndex: 1_001, trailingEntries: 0 }), 1_001)
  assert.equal(compactionIndex({ ...facts, durableIndex: 1_001, trailingEntries: 0, logBytes: 1_000_000 }), 1_001)
})

test('what a follower needs stays, until the log is larger than it may be', () => {
  assert.equal(compactionIndex({ ...facts, neededAfterIndex: 1_500 }), 1_500)
  assert.equal(compactionIndex({ ...facts, neededAfterIndex: 1_000 }), undefined)
  assert.equal(compactionIndex({ ...facts, neededAfterIndex: 1_000, logBytes: 20_001 }), 1_800)
})

test('beyond its size the log keeps no more trailing entries than fit into half of it', () => {
  assert.equal(compactionIndex({ ...facts, trailingEntries: 900, logBytes: 40_000 }), 1_650, 'of 40 bytes each, 250 fit into 10,000')
  assert.equal(compactionIndex({ ...facts, trailingEntries: 0, logBytes: 40_000 }), 1_900)
})

test('a follower that is heard of holds the log where it stands, one that fetches a snapshot at its base, a silent one not at all', () => {
  assert.equal(neededAfterIndex(status([]), 10), Infinity)
  assert.equal(neededAfterIndex(status([{ matchIndex: 70 }, { matchIndex: 50 }]), 10), 50)
  assert.equal(neededAfterIndex(status([{ matchIndex: 70 }, { matchIndex: 0, state: 'snapshot' }]), 10), 10)
  assert.equal(neededAfterIndex(status([{ matchIndex: 70 }, { matchIndex: 5, active: false }]), 10), 70)
})

test('on demand the log is shortened at once, and there is nothing new the second time', async () => {
  const world = new World()
  const leader = world.leader()
  await world.writeMany(20)
  await world.run(500)
  const { replica, log, database } = world.node(leader)
  const ask = (trailingEntries: number | undefined) => world.answer(replica.compact({ trailingEntries, timeoutMs: 1_000 }))
  assert.deepEqual(await ask(undefined), { ok: true, value: 'nothing-new' }, 'so many would stay by itself')
  assert.deepEqual(await ask(7), { ok: true, value: 'compacted' })
  assert.equal(log.reader.base.index, database.appliedIndex - 7)
  assert.deepEqual(await ask(7), { ok: true, value: 'nothing-new' })
  assert.deepEqual(await Promise.all([ask(0), ask(0)]), [
    { ok: true, value: 'compacted' },
    { ok: true, value: 'nothing-new' },
  ])
  assert.equal(log.reader.base.index, database.appliedIndex)
  assert.equal((await world.write(leader, 'goes on')).ok, true)
})

test('the log is never shortened beyond what survives a power failure', async () => {
  const world = new World({ compaction: { everyEntries: 5, intervalMs: 500, trailingEntries: 0 } })
  const leader = world.leader()
  for (let round = 0; round < 5; round += 1) {
    await world.writeMany(10)
    await world.run(700)
  }
  assert(world.node(leader).disk.base.index > 30)
  // All at once, and the databases forget what was not made durable.
  for (const id of ids) world.kill(id)
  for (const id of ids) {
    const { database, disk } = world.node(id)
    database.losePower()
    assert(disk.base.index <= database.appliedIndex)
    world.start(id)
  }
  assert.equal((await world.write(world.leader(), 'after')).ok, true)
  await world.run(1_000)
  for (const id of ids) assert.equal(world.commands(id).length, 51)
})

test('a barrier that takes long holds nobody up, and close waits for it', async () => {
  const world = new World()
  const leader = world.leader()
  await world.writeMany(10)
  const { machine, replica, log } = world.node(leader)
  const barrier = Promise.withResolvers<number>()
  machine.makeDurable = () => barrier.promise
  const late = await world.answer(replica.compact({ trailingEntries: 0, timeoutMs: 300 }))
  assert(!late.ok && late.problem.code === 'deadline')
  assert.equal((await world.write(leader, 'meanwhile')).ok, true)
  let isClosed = false
  const closed = replica.close().then(() => (isClosed = true))
  await world.run(1_000)
  assert.equal(isClosed, false)
  barrier.resolve(5)
  await world.answer(closed)
  assert.equal(log.reader.base.index, 0, 'what closes compacts no more')
})
