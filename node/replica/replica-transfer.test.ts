import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import type { EntryPlace } from './replica-port.ts'
import { ids, tickMs, timeoutMs, World } from './replica-world.ts'

async function handingOver(): Promise<{ readonly world: World; readonly first: NodeId; readonly to: NodeId }> {
  const world = new World()
  const first = world.leader()
  await world.writeMany(3)
  await world.run(500)
  return { world, first, to: ids.find((id) => id !== first)! }
}

test('a proposal that comes while leadership is handed over is sent on to who leads then, not failed', async () => {
  const { world, first, to } = await handingOver()
  const done = world.at(first).transferLeadership({ to, timeoutMs })
  const startedAtMs = world.clock.monotonicMs()
  const written = Array.from({ length: 20 }, (_, n) => world.at(first).propose(Buffer.from(`w${n}`), { timeoutMs }))
  world.clock.settle()
  for (const answer of await world.answer(Promise.all(written)))
    assert.deepEqual(answer.ok ? 'applied' : answer.problem, { code: 'not_leader', leader: to })
  assert.equal((await world.answer(done)).ok, true)
  assert(world.clock.monotonicMs() - startedAtMs < tickMs, 'no timer had to run out')
  assert.equal((await world.write(to, 'after')).ok, true)
})

test('a transfer that comes to nothing leaves the leader as it was, and what waited is written', async () => {
  const { world, first, to } = await handingOver()
  world.network.cut(first, to)
  const done = world.at(first).transferLeadership({ to, timeoutMs: 2_000 })
  const written = world.at(first).propose(Buffer.from('waited'), { timeoutMs: 10_000 })
  const [answer, transferred] = await world.answer(Promise.all([written, done]))
  assert.equal(answer.ok, true)
  assert.deepEqual(transferred, { ok: false, problem: { code: 'deadline', leader: first } })
  assert.equal(world.at(first).status().role, 'leader')
})

test('whoever waits for a transfer is refused at his deadline, and nothing of his is written later', async () => {
  const { world, first, to } = await handingOver()
  world.network.cut(first, to)
  const done = world.at(first).transferLeadership({ to, timeoutMs: 2_000 })
  const late = await world.answer(world.at(first).propose(Buffer.from('too late'), { timeoutMs: 2 * tickMs }))
  assert.deepEqual(late, { ok: false, problem: { code: 'transfer_in_progress', leader: first } })
  await world.answer(done)
  world.network.heal()
  await world.run(3_000)
  for (const id of ids) assert(!world.commands(id).includes('too late'))
})

test('what waits for a transfer is bounded in bytes', async () => {
  const { world, first, to } = await handingOver()
  world.network.cut(first, to)
  const done = world.at(first).transferLeadership({ to, timeoutMs: 2_000 })
  const large = Buffer.alloc(600_000)
  const written = [1, 2, 3].map(() => world.at(first).propose(large, { timeoutMs: 10_000 }))
  const answers = await world.answer(Promise.all(written))
  assert.deepEqual(
    answers.map((answer) => (answer.ok ? 'applied' : answer.problem.code)),
    ['applied', 'overloaded', 'overloaded'],
  )
  await world.answer(done)
})

test('without a majority for five minutes nothing grows, callers are told, and service returns by itself', async () => {
  const world = new World()
  const leader = world.leader()
  const others = ids.filter((id) => id !== leader)
  for (const id of ids) for (const other of ids) if (id !== other) world.network.cut(id, other)
  const codes = new Set<string>()
  const replicas = ids.map((id) => world.at(id))
  const lengths: number[] = []
  let answered = 0
  let asked = 0
  for (let second = 0; second < 300; second += 1) {
    for (const replica of replicas) {
      for (const pending of [
        replica.propose(Buffer.alloc(10_000), { timeoutMs: 1_000 }),
        replica.readBarrier({ timeoutMs: 1_000 }),
        replica.whenApplied(1_000_000, { timeoutMs: 1_000 }),
      ]) {
        asked += 1
        void pending.then((answer) => {
          answered += 1
          if (!answer.ok) codes.add(answer.problem.code)
        })
      }
    }
    await world.run(1_000)
    lengths.push(ids.reduce((sum, id) => sum + world.node(id).disk.entries.length, 0))
  }
  await world.run(2_000)
  assert.equal(answered, asked, 'everybody has been answered')
  assert.deepEqual([...codes].sort(), ['deadline', 'leader_unknown', 'not_leader', 'outcome_unknown'])
  assert.equal(lengths.at(-1), lengths[10], 'the logs have not grown since the leader gave up')
  world.network.heal()
  assert.equal((await world.write(world.leader(), 'again')).ok, true)
  await world.run(1_000)
  for (const id of others) assert.equal(world.commands(id).at(-1), 'again')
})

test('a leader that is asked for more than it may have in flight says overloaded, and keeps no more', async () => {
  const { world, first } = await handingOver()
  for (const id of ids) if (id !== first) world.network.cut(id, first)
  const answers: string[] = []
  for (let n = 0; n < 5_000; n += 1)
    void world
      .at(first)
      .propose(Buffer.alloc(1_000), { timeoutMs: 500 })
      .then((answer) => answers.push(answer.ok ? 'applied' : answer.problem.code))
  await world.run(400)
  const overloaded = answers.filter((code) => code === 'overloaded').length
  assert(overloaded > 3_900, `${overloaded} of 5000 were refused`)
  assert(world.node(first).disk.entries.reduce((sum, { bytes }) => sum + bytes.length, 0) < 1_200_000)
})

test('what may only stand behind a certain entry is told its place, and refused when something else has come before it, also while a transfer made it wait', async () => {
  const { world, first, to } = await handingOver()
  const places: EntryPlace[] = []
  const here = (): EntryPlace => {
    const { lastIndex: index, lastTerm: term } = world.at(first).status()
    return { index, term }
  }
  const behind = here()
  const next = { index: behind.index + 1, term: behind.term }
  const onPlaced = (place: EntryPlace): unknown => places.push(place)
  const [fits, late] = await world.answer(
    Promise.all(['a', 'b'].map((text) => world.at(first).propose(Buffer.from(text), { timeoutMs, behind, onPlaced }))),
  )
  assert.deepEqual([fits?.ok, places], [true, [next]])
  assert.deepEqual(late, { ok: false, problem: { code: 'log_moved_on', leader: first } })
  const otherTerm = { index: here().index, term: here().term - 1 }
  assert.equal((await world.answer(world.at(first).propose(Buffer.from('c'), { timeoutMs, behind: otherTerm }))).ok, false)
  world.network.cut(first, to)
  const done = world.at(first).transferLeadership({ to, timeoutMs: 2_000 })
  const waited = ['first', 'second'].map((text) => world.at(first).propose(Buffer.from(text), { timeoutMs: 10_000, behind: here() }))
  const [one, two] = await world.answer(Promise.all(waited))
  await world.answer(done)
  assert.equal(one?.ok, true)
  assert.deepEqual(two, { ok: false, problem: { code: 'log_moved_on', leader: first } })
  for (const text of ['b', 'c', 'second']) assert(!world.commands(first).includes(text))
})
