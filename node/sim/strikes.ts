// What each fault does when its time has come. False: it could not be done now.
import type { NodeId } from '../raft/membership.ts'
import type { Chance } from './chance.ts'
import type { Fault, FaultKind } from './fault.ts'
import type { MembershipOperator } from './membership-operator.ts'
import { calm, type Weather } from './network.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

/** What a fault may lay hands on. */
export interface Field {
  readonly world: World
  readonly operator: MembershipOperator
  readonly fault: Fault
  readonly chance: Chance
  /** A running node, the leader half of the time: most of what can go wrong goes wrong there. */
  readonly victim: SimNode | undefined
}

type Strike = (field: Field & { readonly victim: SimNode }) => boolean
type Pair = readonly [from: NodeId, to: NodeId]

export const strikes: Readonly<Record<FaultKind, Strike>> = {
  crash: ({ world, victim }) => done(() => world.crash(victim, 'process')),
  power: ({ world, victim }) => done(() => world.crash(victim, 'power')),
  'power-of-all': ({ world }) => done(() => world.nodes.forEach((node) => world.crash(node, 'power'))),
  'crash-at-call': ({ victim, chance }) => {
    if (victim.life !== undefined) victim.life.endsAfterCalls = chance.below(60)
    return true
  },
  // The next snapshot that is installed, at one of its steps.
  'crash-in-install': ({ world, chance }) => {
    for (const { life } of world.nodes) if (life !== undefined) life.endsInInstall = chance.below(4)
    return true
  },
  pause: ({ world, victim, fault }) => {
    if (victim.life !== undefined) victim.life.stoppedUntilMs = world.queue.nowMs + fault.lastsMs
    return true
  },
  // A virtual machine that is moved: it stands still, what is sent to it meanwhile is lost, and it goes on as if nothing had been.
  frozen: (field) => {
    const lastsMs = 500 + field.fault.lastsMs
    if (field.victim.life !== undefined) field.victim.life.stoppedUntilMs = field.world.queue.nowMs + lastsMs
    return cut({ ...field, fault: { ...field.fault, lastsMs: lastsMs + 100 } }, both([field.victim.id], others(field)))
  },
  'clock-jump': ({ world, victim, chance }) => {
    const ms = chance.between(-3_600_000, 3_600_000)
    // One machine's, or a time server's that all of them believe.
    for (const node of chance.happens(0.5) ? [victim] : world.nodes) node.life?.clock.jump(ms)
    return true
  },

  isolate: (field) => cut(field, both([field.victim.id], others(field))),
  'one-way': (field) => {
    const { chance, victim } = field
    const pairs = pairsOf([victim.id], chance.happens(0.5) ? others(field) : others(field).slice(0, 1))
    return cut(field, chance.happens(0.5) ? pairs : pairs.map(([from, to]) => [to, from] as const))
  },
  split: (field) => {
    const names = shuffledNames(field)
    const at = 1 + field.chance.below(Math.max(1, names.length - 1))
    return cut(field, both(names.slice(0, at), names.slice(at)))
  },
  // Each speaks with its neighbours alone.
  ring: (field) => {
    const names = shuffledNames(field)
    const far = (from: NodeId, at: number): Pair[] =>
      names.filter((_, to) => !isNear(at, to, names.length)).map((to) => [from, to] as const)
    return cut(field, names.flatMap(far))
  },
  weather: ({ world, fault, chance }) => {
    world.network.weather = stormy(chance)
    world.queue.after(fault.lastsMs * 3, undefined, () => {
      world.network.weather = calm
    })
    return true
  },
  reset: (field) => done(() => others(field).forEach((id) => field.chance.happens(0.7) && field.world.network.reset(field.victim.id, id))),

  'slow-disk': ({ world, victim, fault, chance }) => {
    victim.diskDelayMs = chance.pick([20, 100, 500]) ?? 20
    world.queue.after(fault.lastsMs * 2, undefined, () => {
      victim.diskDelayMs = 1
    })
    return true
  },
  'full-disk': ({ world, victim, fault, chance }) => {
    victim.disk.limit(victim.disk.usedBytes() + chance.below(600))
    world.queue.after(fault.lastsMs, undefined, () => victim.disk.limit(Infinity))
    return true
  },
  'write-error': (field) => doom(field, 'write'),
  'sync-error': (field) => doom(field, 'sync'),
  rot: ({ operator, world, victim, chance }) => operator.mayDestroy(victim) && rot(world, victim, chance),
  rollback: (field) => rollBack(field),
  diverge: ({ operator, victim }) => {
    // A second strike must not take the mark of the first: it would then be removed or destroyed like a sound one.
    if (!operator.mayDestroy(victim) || !victim.database.diverge()) return false
    victim.isDiverged = true
    return true
  },
  compact: ({ victim, chance, world }) => {
    victim.life?.loop?.compact({ trailingEntries: chance.happens(0.5) ? 0 : undefined, timeoutMs: 1000 }).catch(world.broke)
    return true
  },
  'power-at-call': ({ victim, chance }) => done(() => victim.disk.losePowerAfter(1 + chance.below(12))),

  transfer: ({ world, chance }) => {
    const { leader } = world
    const to = chance.happens(0.5) ? undefined : chance.pick(world.nodes)?.id
    leader?.life?.loop?.transferLeadership({ to, timeoutMs: 500 }).then((ended) => {
      if (ended.ok) world.sometimes.met('leadership transferred')
    }, world.broke)
    return leader !== undefined
  },
  add: ({ operator }) => operator.add(),
  remove: ({ operator, victim }) => operator.remove(victim),
  replace: ({ operator, victim }) => operator.add() && operator.remove(victim),
  wipe: ({ operator, victim }) => operator.lose(victim),
  // It comes back under its old name with an empty disk, as a founder that has forgotten everything: never let in again (what RethinkDB issue 5289 was about).
  // A founder of one would form a cluster of its own, with another id, that meets nobody.
  impostor: ({ operator, world, victim }) =>
    world.founders.members.length > 1 && operator.lose(victim) && done(() => world.addImpostor(victim)),
}

/** Its next call of the kind fails: the process ends, and the disk is not believed. */
function doom({ operator, victim }: Field & { readonly victim: SimNode }, call: 'write' | 'sync'): boolean {
  if (!operator.mayDestroy(victim)) return false
  victim.isDoomed = true
  victim.disk.failNext(call)
  return true
}

/** A bit of what was proven to be synced when the process began. Damage to the newest write of all cannot be told from a torn one (log-recovery.ts): not here. */
function rot(world: World, victim: SimNode, chance: Chance): boolean {
  const proven = victim.life?.provenBytes
  const name = chance.pick(Array.from(proven?.keys() ?? []).filter((name) => victim.disk.names().includes(name)))
  const end = name === undefined ? 0 : (proven?.get(name) ?? 0)
  if (name === undefined || end < 1) return false
  victim.formerly ??= victim.durable.copy()
  world.end(victim, 'process')
  victim.disk.flip(name, chance.below(end), 1 << chance.below(8))
  return true
}

/**
 * The whole volume as it was a while ago, in an earlier life: what a restored backup or a virtual machine's snapshot does. The others have stayed up and have heard of a later
 * life, or nobody could know.
 */
function rollBack({ operator, world, victim, fault }: Field & { readonly victim: SimNode }): boolean {
  if (!operator.mayDestroy(victim)) return false
  const volume = victim.volume()
  world.holdsCrashesFor(victim)
  world.queue.after(100, undefined, () => world.end(victim, 'process'))
  world.queue.after(1800 + fault.lastsMs, undefined, () => {
    const isNewer = victim.starts > volume.starts && victim.durable.last > volume.durable.last
    const remember = world.nodes.every(
      (node) =>
        node === victim ||
        node.isGone ||
        (node.startedAtMs <= volume.atMs && node.life?.introducer.hasHeardOf(victim.id, volume.starts + 1)),
    )
    if (victim.life === undefined || !isNewer || !remember || !operator.mayDestroy(victim)) return
    world.sometimes.met('volume put back')
    world.end(victim, 'power')
    victim.putBack(volume)
    world.holdsCrashesFor(victim)
  })
  return true
}

function done(strike: () => unknown): true {
  strike()
  return true
}

function cut({ world, fault }: Field, pairs: readonly Pair[]): boolean {
  for (const [from, to] of pairs) world.network.cut(from, to)
  world.queue.after(fault.lastsMs, undefined, () => {
    for (const [from, to] of pairs) world.network.mend(from, to)
  })
  return pairs.length > 0
}

function others({ world, victim }: Field): readonly NodeId[] {
  return world.nodes.filter((node) => node !== victim).map((node) => node.id)
}

function shuffledNames({ world, chance }: Field): readonly NodeId[] {
  return chance.shuffled(world.nodes).map((node) => node.id)
}

function pairsOf(from: readonly NodeId[], to: readonly NodeId[]): readonly Pair[] {
  return from.flatMap((one) => to.map((other) => [one, other] as const))
}

function both(some: readonly NodeId[], rest: readonly NodeId[]): readonly Pair[] {
  return [...pairsOf(some, rest), ...pairsOf(rest, some)]
}

function isNear(a: number, b: number, count: number): boolean {
  const distance = Math.abs(a - b)
  return distance <= 1 || distance === count - 1
}

function stormy(chance: Chance): Weather {
  return {
    lost: chance.happens(0.6) ? chance.between(0, 0.3) : 0,
    doubled: chance.happens(0.5) ? chance.between(0, 0.3) : 0,
    spoiled: chance.happens(0.3) ? 0.05 : 0,
    delay: {
      kind: chance.pick(['uniform', 'exponential', 'bimodal'] as const) ?? 'uniform',
      minMs: chance.between(0.2, 5),
      meanMs: chance.pick([1, 5, 20, 60]) ?? 5,
    },
  }
}
