import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import type { SnapshotQuestion } from './memory-snapshot-source.ts'
import { MemorySnapshotStore } from './memory-snapshot-store.ts'
import { assertCatchesUp, compaction, hasCaughtUp, kinds, lagging, long } from './lagging-follower.ts'
import { ids, record, World, type StartChanges } from './replica-world.ts'

test('a follower whose entries are gone from the log gets a snapshot, and then the log', async () => {
  const { world, leader, follower } = await lagging()
  world.start(follower)
  await assertCatchesUp(world, follower)
  assert.deepEqual(
    kinds(world, follower).filter((kind) => kind.startsWith('snapshot')),
    ['snapshot-fetch-begun', 'snapshot-received', 'snapshot-installed'],
  )
  await world.writeMany(3, 'late')
  await world.run(1_000)
  assert.deepEqual(world.commands(follower), world.commands(leader))
  assert.equal(world.node(follower).staging.installing, undefined, 'the snapshot store was told that the log has followed')
  assert(world.node(follower).disk.base.index > 0)
})

test('the follower restarts from what it installed and goes on', async () => {
  const { world, leader, follower } = await lagging()
  world.start(follower)
  await assertCatchesUp(world, follower)
  world.kill(follower)
  await world.writeMany(2, 'late')
  world.start(follower)
  await assertCatchesUp(world, follower)
  assert.deepEqual(world.commands(follower), world.commands(leader))
})

test('a new member of a compacted cluster begins with a snapshot and is given a vote', async () => {
  const world = new World({ compaction })
  const leader = world.leader()
  await world.writeMany(40)
  await world.run(3_000)
  const n4 = 'n4' as NodeId
  world.start(n4, { bootstrap: { members: [] } })
  const added = await world.answer(world.at(leader).changeMembership({ kind: 'add-learner', member: record(n4) }, { timeoutMs: 3_000 }))
  assert(added.ok)
  const isVoter = () =>
    world
      .at(n4)
      .status()
      .membership.members.some(({ id, suffrage }) => id === n4 && suffrage === 'voter')
  assert(await world.until(isVoter, { withinMs: 60_000 }))
  assert(kinds(world, n4).includes('snapshot-installed'))
  assert.deepEqual(world.commands(n4), world.commands(leader))
})

test('a connection lost in the middle costs one chunk: the transfer goes on where it ended', async () => {
  const { world, leader, follower } = await lagging(long)
  world.start(follower)
  const asked: number[] = []
  let isCut = false
  world.node(follower).source.fault = (question) => {
    if (question.kind !== 'chunk') return undefined
    asked.push(question.offset)
    if (asked.length === 1) void world.at(leader).propose(Buffer.from('meanwhile'), { timeoutMs: 3_000 })
    if (asked.length !== 2) return undefined
    isCut = true
    return 'unreachable'
  }
  assert(await world.until(() => isCut, { withinMs: 5_000 }))
  // Somebody else gets a newer copy meanwhile: no reason to begin anew.
  const newer = await world.node(leader).snapshots.take({ indexMin: world.node(leader).database.appliedIndex })
  assert(newer.ok && newer.value.index > (world.node(follower).events.find((event) => event.kind === 'snapshot-fetch-begun')?.index ?? 0))
  await assertCatchesUp(world, follower)
  assert.equal(new Set(asked).size, asked.length - 1, `only the lost chunk is asked for twice: ${asked.join(' ')}`)
  assert.equal(asked.length, 4)
  assert.deepEqual(world.commands(follower), world.commands(leader))
})

test('a partition in the middle of a transfer ends, and so does the transfer', async () => {
  const { world, leader, follower } = await lagging(long)
  world.start(follower)
  world.node(follower).source.fault = (question) => {
    if (question.kind === 'chunk' && question.offset > 0) world.network.cut(leader, follower)
    return undefined
  }
  assert(await world.until(() => kinds(world, follower).includes('snapshot-fetch-failed'), { withinMs: 10_000 }))
  world.node(follower).source.fault = () => undefined
  await world.run(5_000)
  assert(!kinds(world, follower).includes('snapshot-installed'))
  world.network.heal()
  await assertCatchesUp(world, follower)
})

test('a damaged chunk and a lying manifest are found out before anything is replaced', async () => {
  const { world, follower } = await lagging(long)
  world.start(follower)
  const before = world.node(follower).database.appliedIndex
  let damaged = 0
  world.node(follower).source.fault = ({ kind }) => {
    damaged += 1
    return kind === 'chunk' || damaged % 2 === 0 ? 'damaged' : undefined
  }
  await world.run(8_000)
  assert(damaged > 6)
  assert.equal(world.node(follower).database.appliedIndex, before)
  assert(world.node(follower).events.some((event) => event.kind === 'snapshot-fetch-failed' && event.problem === 'snapshot_corrupt'))
  world.node(follower).source.fault = () => undefined
  await assertCatchesUp(world, follower)
})

test('a copy that its sender gives up meanwhile is asked for anew', async () => {
  const { world, leader, follower } = await lagging(long)
  world.start(follower)
  let forgot = 0
  world.node(follower).source.fault = ({ kind }) => {
    if (kind === 'chunk' && forgot < 3) {
      forgot += 1
      world.node(leader).snapshots.forgetCopies()
    }
    return undefined
  }
  await assertCatchesUp(world, follower)
  assert(world.node(follower).events.some((event) => event.kind === 'snapshot-fetch-failed' && event.problem === 'snapshot_gone'))
})

test('while a follower fetches and catches up, the leader keeps what it needs next, however much is written', async () => {
  const { world, leader, follower } = await lagging(long)
  world.start(follower)
  const held: (() => void)[] = []
  const manifests: SnapshotQuestion[] = []
  let holds = true
  const chunk = world.node(follower).source.chunk.bind(world.node(follower).source)
  world.node(follower).source.chunk = async (...asked) => {
    if (holds) await new Promise<void>((resolve) => held.push(resolve))
    return chunk(...asked)
  }
  world.node(follower).source.fault = (question) => {
    if (question.kind === 'manifest') manifests.push(question)
    return undefined
  }
  assert(await world.until(() => held.length > 0, { withinMs: 5_000 }))
  for (let n = 0; n < 10; n += 1) {
    await world.writeMany(5, `meanwhile ${n} `)
    await world.run(600)
  }
  const { index } = world.node(follower).events.find((event) => event.kind === 'snapshot-fetch-begun')!
  assert(world.node(leader).log.reader.base.index <= index, 'the leader still has what follows the snapshot')
  holds = false
  for (const release of held) release()
  await assertCatchesUp(world, follower)
  assert.equal(manifests.length, 1, 'one snapshot was enough')
  await world.writeMany(1, 'last')
  await world.run(3_000)
  assert(world.node(leader).log.reader.base.index > index, 'and then the log is let go')
})

test('beyond the limit of the log’s size the leader waits for nobody, and the follower begins anew with a newer snapshot', async () => {
  const world = new World({ compaction: { ...compaction, logBytesMax: 400_000 } })
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  world.kill(follower)
  await world.writeMany(40, long)
  await world.run(1_000)
  world.start(follower)
  const { source } = world.node(follower)
  const chunk = source.chunk.bind(source)
  let holds = true
  const held: (() => void)[] = []
  source.chunk = async (...asked) => {
    if (holds) await new Promise<void>((resolve) => held.push(resolve))
    return chunk(...asked)
  }
  assert(await world.until(() => held.length > 0, { withinMs: 5_000 }))
  for (let n = 0; n < 10; n += 1) {
    await world.writeMany(5, `${n}${long}`)
    await world.run(600)
  }
  assert(world.node(leader).log.bytes() < 800_000, 'the log stays small')
  holds = false
  for (const release of held) release()
  await assertCatchesUp(world, follower)
  const problems = world.node(follower).events.flatMap((event) => (event.kind === 'snapshot-fetch-failed' ? [event.problem] : []))
  assert.deepEqual(problems, ['snapshot_outdated'])
})

test('when the leader changes in the middle of a transfer, the new one is asked once the old one no longer answers', async () => {
  const { world, leader, follower } = await lagging(long)
  world.start(follower)
  const from: NodeId[] = []
  world.node(follower).source.fault = (question) => {
    from.push(question.from)
    if (question.kind === 'chunk' && question.offset > 0 && question.from === leader) world.kill(leader)
    return undefined
  }
  const others = ids.filter((id) => id !== leader)
  const other = others.find((id) => id !== follower)!
  assert(await world.until(() => hasCaughtUp(world, follower, other), { withinMs: 60_000 }), JSON.stringify(world.node(follower).events))
  assert(from.includes(leader) && from.includes(other))
  assert.equal(world.leader(others), other, 'the one that lags could not be elected')
})

test('a leader that hands over goes on serving the transfer that it began', async () => {
  const { world, leader, follower } = await lagging(long)
  world.start(follower)
  const other = ids.find((id) => id !== leader && id !== follower)!
  let isHandedOver = false
  world.node(follower).source.fault = (question) => {
    if (question.kind === 'chunk' && !isHandedOver) {
      isHandedOver = true
      void world.at(leader).transferLeadership({ to: other, timeoutMs: 5_000 })
    }
    return undefined
  }
  await assertCatchesUp(world, follower)
  assert.equal(world.leader(), other)
})

test('the disk that refuses a chunk costs time, not the node', async () => {
  const { world, follower } = await lagging(long)
  let refusals = 3
  world.start(
    follower,
    failingStage(() => (refusals -= 1) >= 0),
  )
  await assertCatchesUp(world, follower)
  const problems = world.node(follower).events.flatMap((event) => (event.kind === 'snapshot-fetch-failed' ? [event.problem] : []))
  assert.deepEqual(problems, ['disk_refused', 'disk_refused', 'disk_refused'])
})

test('a crash at any step of receiving and installing leaves the old state or the new one, whole', async () => {
  for (const step of ['stage', 'write', 'finish', 'install', 'installed'] as const) {
    const { world, leader, follower } = await lagging(long)
    let crashes = 0
    // Before the step and after it.
    for (const when of ['before', 'after'] as const) {
      world.start(follower, crashingAt(world, follower, { step, when, onCrash: () => (crashes += 1) }))
      const crashedAt = crashes
      await world.until(() => crashes > crashedAt || hasCaughtUp(world, follower, leader), { withinMs: 20_000 })
      if (crashes === crashedAt) world.kill(follower)
      assertWhole(world, follower, leader, `${when} ${step}`)
    }
    assert(crashes >= 1, step)
    world.start(follower)
    await assertCatchesUp(world, follower)
    await world.writeMany(3, 'late')
    await world.run(1_000)
    assert.deepEqual(world.commands(follower), world.commands(leader), step)
  }
})

test('a node that closes in the middle of a transfer asks for nothing more', async () => {
  const { world, follower } = await lagging(long)
  world.start(follower)
  let asked = 0
  world.node(follower).source.fault = () => {
    asked += 1
    return 'unreachable'
  }
  await world.run(2_000)
  assert(asked > 0)
  await world.answer(world.at(follower).close())
  const askedBefore = asked
  await world.run(20_000)
  assert.equal(asked, askedBefore)
})

/** The database is the leader's at some index, and the log fits it. */
function assertWhole(world: World, follower: NodeId, leader: NodeId, when: string): void {
  const { database } = world.node(follower)
  assert.deepEqual(database.commands, world.commands(leader).slice(0, database.commands.length), when)
}

function failingStage(fails: () => boolean): StartChanges {
  return {
    parts: ({ snapshots }) => {
      const stage = snapshots.stage.bind(snapshots)
      snapshots.stage = async (manifest) => {
        const staged = await stage(manifest)
        const write = staged.write.bind(staged)
        return Object.assign(Object.create(staged) as typeof staged, {
          write: (bytes: Uint8Array) => (fails() ? Promise.reject(new Error('no space left on device')) : write(bytes)),
        })
      }
      return { snapshots }
    },
  }
}

type Step = 'stage' | 'write' | 'finish' | 'install' | 'installed'

/** The process dies at a step: nothing after it happens, and nobody hears of it. */
function crashingAt(
  world: World,
  id: NodeId,
  options: { readonly step: Step; readonly when: 'before' | 'after'; readonly onCrash: () => void },
): StartChanges {
  let isDead = false
  const crash = (): void => {
    isDead = true
    options.onCrash()
    world.kill(id)
  }
  const never = new Promise<never>(() => {})
  const at = <Value>(step: Step, act: () => Value, dead: Value): Value => {
    if (isDead) return dead
    if (step !== options.step) return act()
    if (options.when === 'before') {
      crash()
      return dead
    }
    const done = act()
    crash()
    return dead === undefined ? done : dead
  }
  return {
    parts: ({ snapshots }) => {
      const original = {
        stage: snapshots.stage.bind(snapshots),
        install: snapshots.install.bind(snapshots),
        installed: snapshots.installed.bind(snapshots),
      }
      const wrapped: Pick<MemorySnapshotStore, 'stage' | 'install' | 'installed'> = {
        stage: (manifest) =>
          at(
            'stage',
            () =>
              original.stage(manifest).then((staged) =>
                Object.assign(Object.create(staged) as typeof staged, {
                  write: (bytes: Uint8Array) => at('write', () => staged.write(bytes), never),
                  finish: () => at('finish', () => staged.finish(), never),
                }),
              ),
            never,
          ),
        install: (point, how) => at('install', () => original.install(point, how), undefined),
        installed: () => at('installed', () => original.installed(), undefined),
      }
      return { snapshots: Object.assign(snapshots, wrapped) }
    },
  }
}
