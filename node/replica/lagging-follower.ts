// For tests: a cluster one of whose followers is down for so long that the log no longer holds what it lacks.
import assert from 'node:assert/strict'
import type { NodeId } from '../raft/membership.ts'
import { ids, World } from './replica-world.ts'

/** So short that a node that was away for a moment finds the log gone. */
export const compaction = { everyEntries: 5, intervalMs: 500, trailingEntries: 5 }
/** Forty of them are three chunks. */
export const long = 'x'.repeat(65_000)

/** A follower is down while the others write and compact; it is still down. */
export async function lagging(
  prefix = 'c',
  count = 40,
): Promise<{ readonly world: World; readonly leader: NodeId; readonly follower: NodeId }> {
  const world = new World({ compaction })
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader) ?? leader
  await world.writeMany(3, 'early')
  await world.run(1_000)
  world.kill(follower)
  await world.writeMany(count, prefix)
  await world.run(3_000)
  assert(world.node(leader).disk.base.index > world.node(follower).database.appliedIndex, 'what the follower lacks is gone from the log')
  return { world, leader, follower }
}

/** Of what the loop did by itself in this life. */
export function kinds(world: World, id: NodeId): readonly string[] {
  return world.node(id).events.map(({ kind }) => kind)
}

/** Same state at the same index. */
export function hasCaughtUp(world: World, follower: NodeId, leader: NodeId): boolean {
  return (
    world.node(follower).database.hash === world.node(leader).database.hash &&
    world.node(follower).database.appliedIndex === world.node(leader).database.appliedIndex
  )
}

/** Within a minute of the world's time, by default. */
export async function assertCatchesUp(world: World, follower: NodeId, withinMs = 60_000): Promise<void> {
  const caughtUp = await world.until(() => hasCaughtUp(world, follower, world.leader(ids)), { withinMs })
  assert(caughtUp, `the follower has caught up: ${JSON.stringify(world.node(follower).events)}`)
}
