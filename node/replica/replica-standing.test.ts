import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import { append, appendReply } from '../raft/rig-messages.ts'
import { electionTicks, ids, record, tickMs, timeoutMs, World } from './replica-world.ts'
import type { Transport, TransportListener } from './transport.ts'

const compaction = { everyEntries: 5, intervalMs: 500, trailingEntries: 5 }

/** A follower whose database has come to differ from the others', which will be seen. */
async function diverged(): Promise<{ readonly world: World; readonly leader: NodeId; readonly follower: NodeId }> {
  const world = new World({ stateHashEveryEntries: 10, compaction })
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  await world.writeMany(5)
  await world.run(500)
  const { database } = world.node(follower)
  database.commands[2] = 'something else'
  database.damage()
  return { world, leader, follower }
}

function standings(world: World, id: NodeId): readonly string[] {
  return world.node(id).events.flatMap((event) => (event.kind === 'standing-changed' ? [event.standing] : []))
}

test('state machines that agree are compared now and then, and nothing comes of it', async () => {
  const world = new World({ stateHashEveryEntries: 10 })
  const leader = world.leader()
  await world.writeMany(60)
  await world.run(1_000)
  const hashes = world.node(leader).disk.entries.filter(({ kind }) => kind === 'state-hash')
  assert(hashes.length >= 4 && hashes.length <= 6, `${hashes.length} comparisons`)
  for (const id of ids) assert.deepEqual([world.at(id).standing(), world.node(id).events], ['member', []])
})

test('a node that differs is found out, takes a snapshot, and belongs again', async () => {
  const { world, leader, follower } = await diverged()
  await world.writeMany(20)
  assert(await world.until(() => standings(world, follower).includes('member'), { withinMs: 30_000 }))
  assert.deepEqual(standings(world, follower), ['diverged', 'member'])
  const seen = world.node(follower).events.find((event) => event.kind === 'diverged')
  assert(seen?.kind === 'diverged' && seen.divergence.own !== seen.divergence.expected)
  await world.writeMany(3)
  await world.run(1_000)
  assert.deepEqual(world.commands(follower), world.commands(leader))
  assert.equal(world.node(follower).database.hash, world.node(leader).database.hash)
})

test('while it differs it serves nothing, refuses by name, and ends who waits', async () => {
  const { world, follower } = await diverged()
  world.node(follower).source.fault = () => 'unreachable'
  const waiting = world.at(follower).whenApplied(1_000_000, { timeoutMs: 600_000 })
  await world.writeMany(20)
  assert(await world.until(() => world.at(follower).standing() === 'diverged', { withinMs: 5_000 }))
  const replica = world.at(follower)
  const code = async (asked: Promise<{ readonly ok: boolean; readonly problem?: { readonly code: string } }>) =>
    (await world.answer(asked)).problem?.code
  assert.equal(await code(waiting), 'diverged')
  assert.equal(await code(replica.readBarrier({ timeoutMs })), 'diverged')
  assert.equal(await code(replica.whenApplied(1, { timeoutMs })), 'diverged', 'not even what it has applied')
  assert.equal(await code(replica.propose(Buffer.from('x'), { timeoutMs })), 'diverged')
  assert.equal(await code(replica.compact({ trailingEntries: 0, timeoutMs })), 'diverged')
  assert.deepEqual(await world.node(follower).snapshots.take({ indexMin: 1 }), { ok: false, problem: 'snapshot_unavailable' })
  // The others go on without it, and it comes back when it can.
  await world.writeMany(20)
  world.node(follower).source.fault = () => undefined
  assert(await world.until(() => world.at(follower).standing() === 'member', { withinMs: 30_000 }))
  assert.equal((await world.answer(replica.readBarrier({ timeoutMs }))).ok, true)
})

test('a node that differs finds it out again after a restart', async () => {
  const { world, leader, follower } = await diverged()
  world.node(follower).source.fault = () => 'unreachable'
  await world.writeMany(20)
  assert(await world.until(() => world.at(follower).standing() === 'diverged', { withinMs: 5_000 }))
  world.kill(follower)
  world.start(follower)
  await world.writeMany(20)
  assert(await world.until(() => standings(world, follower).includes('member'), { withinMs: 30_000 }))
  await world.run(1_000)
  assert.deepEqual(world.commands(follower), world.commands(leader))
})

test('a state machine that says at once that it differs, because it knew before, serves nothing from the start', async () => {
  const { world, leader, follower } = await diverged()
  world.kill(follower)
  world.start(follower, {
    parts: ({ machine }) => {
      machine.onDiverged = (listener) => {
        machine.apply = () => {}
        listener({ index: 7, own: 'a', expected: 'b' })
      }
      return { machine }
    },
  })
  assert.equal(world.at(follower).standing(), 'diverged')
  assert.deepEqual(
    world.node(follower).events.map(({ kind }) => kind),
    ['diverged', 'standing-changed'],
    'told to who listens later',
  )
  assert(await world.until(() => world.at(follower).standing() === 'member', { withinMs: 30_000 }))
  assert(world.node(follower).database.appliedIndex >= 7)
  assert.deepEqual(world.commands(follower), world.commands(leader))
})

test('a leader that differs hands over, and is mended by the next one', async () => {
  const world = new World({ stateHashEveryEntries: 10, compaction })
  const first = world.leader()
  await world.writeMany(5)
  await world.run(500)
  // As if an earlier leader had proposed the comparison.
  const other = ids.find((id) => id !== first)!
  world.node(first).machine.stateHash = () => world.node(other).machine.stateHash()
  world.node(first).database.damage()
  for (let n = 0; n < 40 && world.at(first).standing() === 'member'; n += 1) {
    await world.answer(world.at(first).propose(Buffer.from(`c${n}`), { timeoutMs: 1_000 }))
    await world.run(300)
  }
  assert(
    await world.until(() => standings(world, first).includes('member'), { withinMs: 60_000 }),
    JSON.stringify(world.node(first).events),
  )
  assert.deepEqual(standings(world, first), ['diverged', 'member'])
  const second = world.leader()
  assert.notEqual(second, first)
  await world.run(1_000)
  assert.equal(world.node(first).database.hash, world.node(second).database.hash)
})

test('who takes over compares nothing before it has applied all that others have compared: else one that differs would make all others differ', async () => {
  let hear: TransportListener | undefined
  const transport: Transport = { send: () => {}, setMembership: () => {}, listen: (listener) => (hear = listener) }
  const world = new World({ voters: [], stateHashEveryEntries: 3 })
  const [n1, n2] = ids
  assert(n1 !== undefined && n2 !== undefined)
  world.start(n1, { bootstrap: { members: ids.map((id) => ({ ...record(id), suffrage: 'voter' as const })) }, transport })
  const tell = async (message: Message) => {
    hear?.message(n2, message)
    await world.run(20)
  }
  const command = (index: number) => makeEntry({ index, term: 1, kind: 'command', payload: Buffer.from('c') })
  await tell(append({ term: 1, entries: [1, 2, 3, 4].map(command), leaderCommit: 4 }))
  assert.equal(world.at(n1).status().appliedIndex, 4)
  const compared = makeEntry({ index: 5, term: 1, kind: 'state-hash', payload: Buffer.from('4 another') })
  await tell(append({ term: 1, prevLogIndex: 4, prevLogTerm: 1, entries: [compared], leaderCommit: 4 }))
  assert(await world.until(() => world.at(n1).status().role === 'pre-candidate', { withinMs: 10_000 }))
  await tell({ kind: 'pre-vote-reply', term: 2, granted: true })
  await tell({ kind: 'vote-reply', term: 2, granted: true })
  assert.equal(world.at(n1).status().role, 'leader')
  assert.equal(world.at(n1).standing(), 'member')
  await tell(appendReply({ term: 2, matchIndex: 6 }))
  assert.equal(world.at(n1).standing(), 'diverged')
  const kinds = world.node(n1).disk.entries.map(({ kind }) => kind)
  assert.deepEqual(kinds, ['command', 'command', 'command', 'command', 'state-hash', 'noop'])
})

test('a removed node serves nothing, disturbs nobody, and is a member again when it is added', async () => {
  const world = new World()
  const leader = world.leader()
  const out = ids.find((id) => id !== leader)!
  await world.writeMany(2)
  assert.equal((await world.answer(world.at(leader).changeMembership({ kind: 'remove', id: out }, { timeoutMs }))).ok, true)
  await world.run(500)
  assert.equal(world.at(out).standing(), 'removed')
  assert.deepEqual(await world.answer(world.at(out).propose(Buffer.from('x'), { timeoutMs })), {
    ok: false,
    problem: { code: 'removed', leader: world.at(out).status().leader },
  })
  const barrier = await world.answer(world.at(out).readBarrier({ timeoutMs }))
  assert.equal(!barrier.ok && barrier.problem.code, 'removed')
  const { term } = world.at(leader).status()
  await world.run(10 * electionTicks * tickMs)
  assert.equal(world.at(out).status().role, 'learner')
  assert.equal(world.at(leader).status().term, term)
  assert.equal(
    (await world.answer(world.at(leader).changeMembership({ kind: 'add-learner', member: record(out) }, { timeoutMs }))).ok,
    true,
  )
  assert(await world.until(() => world.at(out).standing() === 'member', { withinMs: 10_000 }))
})

test('a founder that was removed serves nothing after a restart either, though nobody tells it any more', async () => {
  const world = new World()
  const leader = world.leader()
  const out = ids.find((id) => id !== leader)!
  await world.writeMany(2)
  assert.equal((await world.answer(world.at(leader).changeMembership({ kind: 'remove', id: out }, { timeoutMs }))).ok, true)
  await world.run(500)
  world.kill(out)
  world.start(out)
  assert.equal(world.at(out).standing(), 'removed')
  const read = await world.answer(world.at(out).whenApplied(1, { timeoutMs }))
  assert(!read.ok && read.problem.code === 'removed')
})

test('a removed member that is gone for good is not needed after a power failure of all others', async () => {
  const voters = ['n1', 'n2', 'n3', 'n4'] as NodeId[]
  const world = new World({ voters })
  const leader = world.leader(voters)
  const [gone, ...rest] = voters.filter((id) => id !== leader)
  assert(gone !== undefined)
  await world.writeMany(2)
  world.kill(gone)
  assert.equal((await world.answer(world.at(leader).changeMembership({ kind: 'remove', id: gone }, { timeoutMs }))).ok, true)
  await world.run(1_000)
  const left = [leader, ...rest]
  for (const id of left) {
    world.kill(id)
    world.node(id).database.losePower()
  }
  // Two of the three that are left.
  for (const id of left.slice(0, 2)) world.start(id)
  world.leader(left.slice(0, 2))
})

test('a leader that removes itself is told that it is done, and the others go on under another', async () => {
  const world = new World()
  const leader = world.leader()
  await world.writeMany(2)
  const removed = await world.answer(world.at(leader).changeMembership({ kind: 'remove', id: leader }, { timeoutMs }))
  assert.equal(removed.ok, true)
  assert.equal(world.at(leader).standing(), 'removed')
  const others = ids.filter((id) => id !== leader)
  const next = world.leader(others)
  assert.equal((await world.write(next, 'on')).ok, true)
  await world.run(3_000)
  assert.notEqual(world.at(leader).status().role, 'leader')
  assert.deepEqual(
    world
      .at(next)
      .status()
      .membership.members.map(({ id }) => id),
    others,
  )
})

test('a node that is told of its removal believes it, though the entry never reached it', async () => {
  let hear: TransportListener | undefined
  let sent = 0
  const transport: Transport = {
    send: (parcels) => void (sent += parcels.length),
    setMembership: () => {},
    listen: (listener) => (hear = listener),
  }
  const world = new World({ voters: [] })
  const n1 = 'n1' as NodeId
  world.start(n1, { bootstrap: { members: ids.map((id) => ({ ...record(id), suffrage: 'voter' as const })) }, transport })
  await world.run(3 * electionTicks * tickMs)
  assert(sent > 0, 'it stands for election')
  const waiting = world.at(n1).whenApplied(1_000, { timeoutMs: 600_000 })
  const { term } = world.at(n1).status()
  const leads = append({ term: term + 1 })
  hear?.message('n2' as NodeId, leads)
  await world.run(100)
  assert.equal(world.at(n1).status().leader, 'n2')
  hear?.removed()
  hear?.removed()
  assert.deepEqual(standings(world, n1), ['removed'])
  const answer = await world.answer(waiting)
  assert(!answer.ok && answer.problem.code === 'removed')
  sent = 0
  hear?.unreachable('n2' as NodeId)
  await world.run(10 * electionTicks * tickMs)
  assert.equal(sent, 0, 'it no longer stands')
  hear?.message('n3' as NodeId, { kind: 'pre-vote', term: term + 2, lastLogIndex: 9, lastLogTerm: term + 1 })
  await world.run(100)
  assert.equal(sent, 1, 'one who does not know of it gets its vote')
})

test('a removed node gives its vote when the leader that knew of its removal is gone before the others know', async () => {
  const voters = ['n1', 'n2', 'n3', 'n4'] as NodeId[]
  const world = new World({ voters })
  const leader = world.leader(voters)
  const [out, ...rest] = voters.filter((id) => id !== leader)
  assert(out !== undefined)
  await world.writeMany(2)
  await world.run(500)
  // They get the entry, and never hear that it is committed.
  const deaf = rest.map((id) => world.node(id).machine)
  for (const machine of deaf) machine.apply = () => {}
  assert.equal((await world.answer(world.at(leader).changeMembership({ kind: 'remove', id: out }, { timeoutMs }))).ok, true)
  await world.run(500)
  assert.equal(world.at(out).standing(), 'removed')
  world.kill(leader)
  for (const id of rest) {
    world.kill(id)
    world.start(id)
  }
  world.leader(rest)
})

test('one who joins reads in the log of times without it, and is not removed by them', async () => {
  const world = new World()
  const leader = world.leader()
  await world.writeMany(2)
  const n4 = 'n4' as NodeId
  world.start(n4, { bootstrap: { members: [] } })
  await world.answer(world.at(leader).changeMembership({ kind: 'add-learner', member: record(n4) }, { timeoutMs }))
  await world.run(5_000)
  assert.deepEqual([standings(world, n4), world.at(n4).standing()], [[], 'member'])
})

test('that the disk is not to be trusted is durable before anything else is said', async () => {
  const world = new World()
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  world.kill(follower)
  const log: string[] = []
  let isRolledBack = false
  const network = world.network.join(follower)
  const transport: Transport = {
    send: (parcels) => {
      for (const { message } of parcels) log.push(`send ${message.kind}`)
      network.send(parcels)
    },
    setMembership: (membership) => network.setMembership(membership),
    listen: (listener) =>
      network.listen({
        ...listener,
        message: (from, message) => {
          // In the same turn as something that must be answered.
          if (isRolledBack) listener.rolledBack()
          listener.message(from, message)
        },
      }),
  }
  world.start(follower, { transport })
  const { trust } = world.node(follower)
  const setTrust = trust.setTrust.bind(trust)
  trust.setTrust = (value) => {
    log.push(`trust ${value}`)
    setTrust(value)
  }
  await world.run(2_000)
  log.length = 0
  isRolledBack = true
  await world.run(500)
  isRolledBack = false
  assert.equal(log[0], 'trust untrusted')
  assert(log.includes('send append-reply'))
  assert.equal(trust.trust, 'untrusted')
  assert.equal(world.at(follower).status().trust, 'untrusted')
  world.kill(follower)
  world.start(follower)
  assert.equal(world.at(follower).status().trust, 'untrusted', 'a restart does not forget it')
  assert(await world.until(() => trust.trust === 'trusted', { withinMs: 20_000 }), 'it is trusted again once it has everything')
})
