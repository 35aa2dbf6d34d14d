import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import { callersMax, closeGraceMs, messagesMax } from './replica.ts'
import { ids, record, tickMs, timeoutMs, World } from './replica-world.ts'
import type { Transport, TransportListener } from './transport.ts'

test('a write at the leader is answered when it is applied, and reaches all three', async () => {
  const world = new World()
  const leader = world.leader()
  const written = await world.write(leader, 'a')
  assert.deepEqual(written.ok && written.value.outcome, { text: 'a', position: 0 })
  world.clock.advance(1_000)
  for (const id of ids) assert.deepEqual(world.commands(id), ['a'])
})

test('proposals of one turn share one write to disk', async () => {
  const world = new World()
  const leader = world.leader()
  const node = world.nodes.get(leader)!
  let appends = 0
  const append = node.log.append.bind(node.log)
  node.log.append = (persist) => {
    if (persist.entries.length > 0) appends += 1
    append(persist)
  }
  const written = await world.answer(
    Promise.all(Array.from({ length: 50 }, (_, n) => node.replica.propose(Buffer.from(`${n}`), { timeoutMs }))),
  )
  assert.equal(
    written.every((one) => one.ok),
    true,
  )
  assert.equal(appends, 1)
})

test('a follower refuses a write and names the leader', async () => {
  const world = new World()
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  assert.deepEqual(await world.write(follower, 'a'), { ok: false, problem: { code: 'not_leader', leader } })
})

test('a read barrier holds on every node until the latest acknowledged write is applied there', async () => {
  const world = new World()
  const leader = world.leader()
  for (const id of ids) {
    await world.write(leader, `before ${id}`)
    const barrier = await world.answer(world.at(id).readBarrier({ timeoutMs }))
    assert.equal(barrier.ok, true)
    assert.equal(world.commands(id).at(-1), `before ${id}`)
  }
})

test('a read barrier waits for a state machine that lags behind, on the leader and on a follower', async () => {
  for (const which of ['leader', 'follower']) {
    const world = new World()
    const leader = world.leader()
    const reader = which === 'leader' ? leader : ids.find((id) => id !== leader)!
    const node = world.nodes.get(reader)!
    const held: (readonly Entry[])[] = []
    const apply = node.machine.apply.bind(node.machine)
    node.machine.apply = (entries) => void held.push(entries)
    const written = world.at(leader).propose(Buffer.from('a'), { timeoutMs })
    world.clock.advance(300)
    const seen: string[] = []
    const barrier = world
      .at(reader)
      .readBarrier({ timeoutMs })
      .then((answer) => seen.push(answer.ok ? 'read' : answer.problem.code))
    world.clock.advance(300)
    await Promise.resolve()
    assert.deepEqual([seen, world.commands(reader)], [[], []], which)
    node.machine.apply = apply
    for (const entries of held) apply(entries)
    await world.answer(barrier)
    assert.deepEqual([seen, world.commands(reader)], [['read'], ['a']], which)
    await world.answer(written)
  }
})

test('a leader cut off from the others confirms no read', async () => {
  const world = new World()
  const leader = world.leader()
  await world.write(leader, 'a')
  for (const id of ids) if (id !== leader) world.network.cut(leader, id)
  const barrier = await world.answer(world.at(leader).readBarrier({ timeoutMs: 500 }))
  assert.deepEqual(barrier, { ok: false, problem: { code: 'deadline', leader } })
})

test('when the leader dies the others elect one without waiting for the timer, and nothing acknowledged is lost', async () => {
  const world = new World()
  const first = world.leader()
  await world.write(first, 'a')
  const others = ids.filter((id) => id !== first)
  world.kill(first)
  world.clock.advance(tickMs)
  const second = others.find((id) => world.at(id).status().role === 'leader')
  assert(second !== undefined, 'the reset connections were enough: not one election timeout has passed')
  assert.equal((await world.write(second, 'b')).ok, true)
  world.start(first)
  world.leader()
  world.clock.advance(2_000)
  for (const id of ids) assert.deepEqual(world.commands(id), ['a', 'b'])
})

test('all three restart and carry on where they were', async () => {
  const world = new World()
  await world.write(world.leader(), 'a')
  for (const id of ids) world.kill(id)
  for (const id of ids) world.start(id)
  await world.write(world.leader(), 'b')
  world.clock.advance(1_000)
  for (const id of ids) assert.deepEqual(world.commands(id), ['a', 'b'])
})

test('a proposal whose leader loses its majority ends as outcome_unknown at its deadline', async () => {
  const world = new World()
  const leader = world.leader()
  for (const id of ids) if (id !== leader) world.network.cut(leader, id)
  const written = await world.write(leader, 'lost?')
  assert.equal(written.ok, false)
  assert.equal(!written.ok && written.problem.code, 'outcome_unknown')
})

test('a proposal that another leader has replaced is known not to have happened', async () => {
  const world = new World()
  const first = world.leader()
  const others = ids.filter((id) => id !== first)
  for (const id of others) world.network.cut(first, id)
  const lost = world.at(first).propose(Buffer.from('lost'), { timeoutMs: 60_000 })
  const second = world.leader(others)
  await world.write(second, 'kept')
  world.network.heal()
  const answer = await world.answer(lost)
  assert.deepEqual(answer, { ok: false, problem: { code: 'not_leader', leader: second } })
  for (const id of ids) assert.deepEqual(world.commands(id), ['kept'])
})

test('leadership is handed to the named voter', async () => {
  const world = new World()
  const first = world.leader()
  const to = ids.find((id) => id !== first)!
  assert.deepEqual(await world.answer(world.at(first).transferLeadership({ to, timeoutMs })), { ok: true, value: undefined })
  assert.equal(world.leader(), to)
})

test('leadership is not handed to a stranger', async () => {
  const world = new World()
  const leader = world.leader()
  const answer = await world.answer(world.at(leader).transferLeadership({ to: 'x' as NodeId, timeoutMs }))
  assert.equal(!answer.ok && answer.problem.code, 'membership_change_invalid')
})

test('a node that joins learns the log and is given a vote', async () => {
  const world = new World()
  const leader = world.leader()
  await world.write(leader, 'a')
  const n4 = 'n4' as NodeId
  world.start(n4, { bootstrap: { members: [] } })
  const change = { kind: 'add-learner', member: record(n4) } as const
  assert.equal((await world.answer(world.at(leader).changeMembership(change, { timeoutMs }))).ok, true)
  world.clock.advance(5_000)
  assert.deepEqual(world.commands(n4), ['a'])
  for (const id of [...ids, n4]) {
    const suffrages = world
      .at(id)
      .status()
      .membership.members.map((member) => `${member.id} ${member.suffrage}`)
    assert.deepEqual(suffrages, ['n1 voter', 'n2 voter', 'n3 voter', 'n4 voter'])
  }
})

test('after standing still for a minute a follower hears its leader before it thinks of an election', async () => {
  const world = new World()
  const leader = world.leader()
  const { term } = world.at(leader).status()
  world.clock.stall(60_000)
  world.clock.advance(5_000)
  assert.equal(world.at(world.leader()).status().term, term)
})

test('close lets what is in flight finish, takes nothing new, and ends', async () => {
  const world = new World()
  const leader = world.leader()
  const written = world.at(leader).propose(Buffer.from('last'), { timeoutMs })
  const closed = world.at(leader).close()
  assert.equal((await world.write(leader, 'too late')).ok, false)
  assert.equal((await world.answer(written)).ok, true)
  await world.answer(closed)
})

test('close does not wait for ever for a proposal that cannot be committed', async () => {
  const world = new World()
  const leader = world.leader()
  for (const id of ids) if (id !== leader) world.network.cut(leader, id)
  const written = world.at(leader).propose(Buffer.from('x'), { timeoutMs: 3_600_000 })
  const startedAtMs = world.clock.monotonicMs()
  await world.answer(world.at(leader).close())
  assert.equal(world.clock.monotonicMs() - startedAtMs <= closeGraceMs + 10, true)
  const answer = await written
  assert.equal(!answer.ok && answer.problem.code, 'outcome_unknown')
})

test('a single voter elects itself and answers reads alone', async () => {
  const world = new World({ voters: ['n1' as NodeId] })
  world.leader(['n1' as NodeId])
  assert.equal((await world.write('n1' as NodeId, 'a')).ok, true)
  assert.equal((await world.answer(world.at('n1' as NodeId).readBarrier({ timeoutMs }))).ok, true)
})

test('whenApplied waits for the index and gives up at its deadline', async () => {
  const world = new World()
  const leader = world.leader()
  const { appliedIndex } = world.at(leader).status()
  const waiting = world.at(leader).whenApplied(appliedIndex + 1, { timeoutMs })
  await world.write(leader, 'a')
  assert.deepEqual(await waiting, { ok: true, value: appliedIndex + 1 })
  const late = await world.answer(world.at(leader).whenApplied(appliedIndex + 9, { timeoutMs: 200 }))
  assert.equal(!late.ok && late.problem.code, 'deadline')
})

test('callers in flight are bounded: one more is refused as overloaded, and nothing of it is appended', async () => {
  const world = new World()
  const leader = world.leader()
  for (const id of ids) if (id !== leader) world.network.cut(leader, id)
  const waiting = Array.from({ length: callersMax }, () => world.at(leader).whenApplied(1_000_000, { timeoutMs: 100 }))
  const before = world.at(leader).status().lastIndex
  const refused = await world.write(leader, 'one too many')
  assert.equal(!refused.ok && refused.problem.code, 'overloaded')
  assert.equal(world.at(leader).status().lastIndex, before)
  await world.answer(Promise.all(waiting))
})

test('messages that wait for a turn are bounded, those beyond are dropped', () => {
  let hear: TransportListener | undefined
  let answers = 0
  const transport: Transport = {
    send: (parcels) => void (answers += parcels.length),
    setMembership: () => {},
    listen: (listener) => (hear = listener),
  }
  const world = new World({ voters: [] })
  const membership = { members: ids.map((id) => ({ id, incarnation: id, raftAddress: id, apiUrl: id, suffrage: 'voter' as const })) }
  world.start('n1' as NodeId, { bootstrap: membership, transport })
  for (let id = 0; id < 40_000; id += 1) hear?.message('n2' as NodeId, { kind: 'read-index', term: 0, id, afterLoss: false })
  world.clock.settle()
  assert.equal(answers, messagesMax)
})

test('the age of the leader’s last word is 0 on the leader and grows on a follower that is cut off', () => {
  const world = new World()
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  world.clock.advance(450)
  assert.equal(world.at(leader).leaderContactAgeMs(), 0)
  assert(world.at(follower).leaderContactAgeMs() <= 2 * tickMs)
  world.network.cut(leader, follower)
  world.clock.advance(700)
  assert(world.at(follower).leaderContactAgeMs() >= 700)
})

test('what a replica tells its listeners is what the core has decided', () => {
  const world = new World({ voters: ['n1' as NodeId] })
  const kinds: string[] = []
  world.at('n1' as NodeId).onEvent((event) => kinds.push(event.kind))
  world.leader(['n1' as NodeId])
  assert.deepEqual(kinds, ['became-pre-candidate', 'became-candidate', 'became-leader', 'membership-changed'])
})

test('a command that fits into no entry is the caller’s mistake and reaches no log', () => {
  const world = new World()
  const huge = { length: 65 * 1024 * 1024 } as Uint8Array
  assert.throws(() => world.at('n1' as NodeId).propose(huge, { timeoutMs }), RangeError)
})
