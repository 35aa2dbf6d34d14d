import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../raft/entry.ts'
import { assertCatchesUp, kinds, lagging } from './lagging-follower.ts'
import { ids, World } from './replica-world.ts'

test('the database is replaced, then the log begins anew, and when that is on disk the snapshot store is told', async () => {
  const { world, follower } = await lagging()
  const steps: string[] = []
  world.start(follower, {
    parts: ({ snapshots, log }) => {
      const install = snapshots.install.bind(snapshots)
      const installed = snapshots.installed.bind(snapshots)
      const append = log.append.bind(log)
      snapshots.install = (point, options) => {
        steps.push(`install ${options.reset ? 'with' : 'without'} reset`)
        install(point, options)
      }
      snapshots.installed = () => {
        steps.push('installed')
        installed()
      }
      log.append = (persist) => {
        if (steps.length > 0 || persist.reset !== undefined) steps.push(persist.reset === undefined ? 'append' : 'reset')
        append(persist)
      }
      const onDurable = log.onDurable.bind(log)
      log.onDurable = (listener) =>
        onDurable((sequence) => {
          if (steps.length > 0) steps.push('durable')
          listener(sequence)
        })
      return { snapshots, log }
    },
  })
  await assertCatchesUp(world, follower)
  assert.deepEqual(steps.slice(0, 4), ['install with reset', 'reset', 'durable', 'installed'])
})

test('a snapshot that lies ready waits until the state machine has nothing under way', async () => {
  const world = new World({ compaction: { everyEntries: 5, intervalMs: 500, trailingEntries: 5 } })
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  await world.writeMany(3)
  await world.run(500)
  const { machine } = world.node(follower)
  const held: (readonly Entry[])[] = []
  const apply = machine.apply.bind(machine)
  machine.apply = (entries) => void held.push(entries)
  await world.writeMany(3, 'held')
  await world.run(500)
  assert(held.length > 0)
  for (const id of ids) if (id !== follower) world.network.cut(id, follower)
  await world.writeMany(40, 'gone')
  await world.run(3_000)
  world.network.heal()
  assert(await world.until(() => kinds(world, follower).includes('snapshot-received'), { withinMs: 20_000 }))
  await world.run(1_000)
  assert(!kinds(world, follower).includes('snapshot-installed'), 'it waits')
  machine.apply = apply
  for (const entries of held) apply(entries)
  await assertCatchesUp(world, follower)
  assert(kinds(world, follower).includes('snapshot-installed'))
})

test('a snapshot that lies ready waits for a barrier that is under way', async () => {
  const { world, follower } = await lagging()
  world.start(follower)
  const { machine, replica } = world.node(follower)
  const barrier = Promise.withResolvers<number>()
  machine.makeDurable = () => barrier.promise
  const compacted = replica.compact({ trailingEntries: 0, timeoutMs: 60_000 })
  assert(await world.until(() => kinds(world, follower).includes('snapshot-received'), { withinMs: 20_000 }))
  await world.run(1_000)
  assert(!kinds(world, follower).includes('snapshot-installed'))
  barrier.resolve(machine.appliedIndex)
  await assertCatchesUp(world, follower)
  assert.equal((await world.answer(compacted)).ok, true)
})

test('who waited for an index that the snapshot has passed is answered with it', async () => {
  const { world, leader, follower } = await lagging()
  world.start(follower)
  const waiting = world.at(follower).whenApplied(world.node(leader).database.appliedIndex - 10, { timeoutMs: 60_000 })
  assert.equal((await world.answer(waiting)).ok, true)
  assert(kinds(world, follower).includes('snapshot-installed'))
})

test('a state that differs is replaced though the log holds everything, and the log is kept', async () => {
  const world = new World({ stateHashEveryEntries: 10 })
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  await world.writeMany(5)
  await world.run(500)
  world.node(follower).database.damage()
  const resets: boolean[] = []
  const { snapshots } = world.node(follower)
  const install = snapshots.install.bind(snapshots)
  snapshots.install = (point, options) => {
    resets.push(options.reset)
    install(point, options)
  }
  await world.writeMany(20)
  assert(await world.until(() => resets.length > 0, { withinMs: 20_000 }))
  await assertCatchesUp(world, follower)
  assert.deepEqual(resets, [false])
  assert.equal(world.node(follower).disk.base.index, 0)
  assert.equal(world.node(follower).staging.installing, undefined)
})
