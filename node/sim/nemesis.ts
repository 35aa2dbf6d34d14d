// Carries out the faults. The rule of the atlas: what destroys data that had been synced only ever touches a minority of the voters at a time, and the next only when the
// last one is whole or replaced; otherwise a loss would be the world's doing. Power failures destroy nothing that was synced, so they may strike all.
import type { NodeId } from '../raft/membership.ts'
import { Chance } from './chance.ts'
import type { Fault } from './fault.ts'
import { MembershipOperator } from './membership-operator.ts'
import { calm, type Weather } from './network.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

export class Nemesis {
  readonly #world: World
  readonly #operator: MembershipOperator

  constructor(world: World, faults: readonly Fault[]) {
    this.#world = world
    this.#operator = new MembershipOperator(world)
    for (const fault of faults) {
      world.queue.after(fault.atMs, undefined, () => {
        world.trace.note(world.queue.nowMs, 'fault', `#${fault.number} ${fault.kind}`)
        this.#strike(fault, new Chance(fault.seed))
      })
    }
  }

  /** Nothing breaks any more, everything that can be is up. */
  end(): void {
    const { network, nodes } = this.#world
    network.mendAll()
    network.weather = calm
    for (const node of nodes) {
      node.disk.isFull = false
      node.disk.endNever()
      node.diskDelayMs = 1
      if (node.life !== undefined) {
        node.life.stoppedUntilMs = 0
        node.life.endsAfterCalls = undefined
      }
      this.#world.restart(node, 10)
    }
  }

  #strike(fault: Fault, chance: Chance): void {
    if (this.#isOfProcess(fault, chance) || this.#isOfNetwork(fault, chance) || this.#isOfDisk(fault, chance)) {
      this.#world.sometimes.met(`fault: ${fault.kind}`)
      return
    }
    if (this.#isOfCluster(fault, chance)) this.#world.sometimes.met(`fault: ${fault.kind}`)
  }

  #isOfProcess(fault: Fault, chance: Chance): boolean {
    const node = this.#victim(chance)
    switch (fault.kind) {
      case 'crash':
        if (node !== undefined) this.#world.crash(node, 'process')
        return node !== undefined
      case 'power':
        if (node !== undefined) this.#world.crash(node, 'power')
        return node !== undefined
      case 'power-of-all':
        for (const each of this.#world.nodes) this.#world.crash(each, 'power')
        return true
      case 'crash-at-call':
        if (node?.life !== undefined) node.life.endsAfterCalls = chance.below(60)
        return node !== undefined
      case 'pause':
        if (node?.life !== undefined) node.life.stoppedUntilMs = this.#world.queue.nowMs + fault.lastsMs
        return node !== undefined
      case 'clock-jump':
        node?.life?.clock.jump(chance.between(-3_600_000, 3_600_000))
        return node !== undefined
      default:
        return false
    }
  }

  #isOfNetwork(fault: Fault, chance: Chance): boolean {
    const { nodes, network, queue } = this.#world
    const victim = this.#victim(chance)
    const others = nodes.filter((node) => node !== victim)
    const names = chance.shuffled(nodes).map((node) => node.id)
    switch (fault.kind) {
      case 'isolate':
        if (victim !== undefined) this.#cut(both([victim.id], idsOf(others)), fault.lastsMs)
        return victim !== undefined
      case 'one-way': {
        if (victim === undefined) return false
        const pairs = pairsOf([victim.id], idsOf(chance.happens(0.5) ? others : others.slice(0, 1)))
        this.#cut(chance.happens(0.5) ? pairs : pairs.map(([from, to]) => [to, from] as const), fault.lastsMs)
        return true
      }
      case 'split': {
        const at = 1 + chance.below(Math.max(1, names.length - 1))
        this.#cut(both(names.slice(0, at), names.slice(at)), fault.lastsMs)
        return names.length > 1
      }
      case 'ring':
        // Each speaks with its neighbours alone.
        this.#cut(
          names.flatMap((from, at) => names.filter((_, to) => !isNear(at, to, names.length)).map((to) => [from, to] as const)),
          fault.lastsMs,
        )
        return names.length > 3
      case 'weather':
        network.weather = stormy(chance)
        queue.after(fault.lastsMs * 3, undefined, () => {
          network.weather = calm
        })
        return true
      case 'reset':
        for (const other of others) if (victim !== undefined && chance.happens(0.7)) network.reset(victim.id, other.id)
        return victim !== undefined
      default:
        return false
    }
  }

  #isOfDisk(fault: Fault, chance: Chance): boolean {
    const node = this.#victim(chance)
    if (node === undefined) return false
    const { queue } = this.#world
    switch (fault.kind) {
      case 'slow-disk':
        node.diskDelayMs = chance.pick([20, 100, 500]) ?? 20
        queue.after(fault.lastsMs * 2, undefined, () => {
          node.diskDelayMs = 1
        })
        return true
      case 'full-disk':
        node.disk.isFull = true
        queue.after(fault.lastsMs, undefined, () => {
          node.disk.isFull = false
        })
        return true
      case 'write-error':
        node.disk.failNext('write')
        return true
      case 'sync-error':
        node.disk.failNext('sync')
        return true
      default:
        return false
    }
  }

  #isOfCluster(fault: Fault, chance: Chance): boolean {
    switch (fault.kind) {
      case 'transfer': {
        const { leader } = this.#world
        const to = chance.happens(0.5) ? undefined : chance.pick(this.#world.nodes)?.id
        leader?.life?.loop?.transferLeadership({ to, timeoutMs: 500 }).then((ended) => {
          if (ended.ok) this.#world.sometimes.met('leadership transferred')
        }, this.#world.broke)
        return leader !== undefined
      }
      case 'add':
        return this.#operator.add()
      case 'remove':
        return this.#operator.remove(this.#victim(chance))
      case 'replace':
        return this.#operator.add() && this.#operator.remove(this.#victim(chance))
      case 'wipe':
        return this.#operator.lose(this.#victim(chance))
      default:
        return false
    }
  }

  /** The leader half of the time: most of what can go wrong goes wrong there. */
  #victim(chance: Chance): SimNode | undefined {
    const running = this.#world.nodes.filter((node) => node.life !== undefined)
    const any = chance.pick(running)
    return chance.happens(0.5) ? (this.#world.leader ?? any) : any
  }

  #cut(pairs: readonly (readonly [NodeId, NodeId])[], lastsMs: number): void {
    const { network, queue } = this.#world
    for (const [from, to] of pairs) network.cut(from, to)
    queue.after(lastsMs, undefined, () => {
      for (const [from, to] of pairs) network.mend(from, to)
    })
  }
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

function idsOf(nodes: readonly SimNode[]): readonly NodeId[] {
  return nodes.map((node) => node.id)
}

function pairsOf(from: readonly NodeId[], to: readonly NodeId[]): (readonly [NodeId, NodeId])[] {
  return from.flatMap((one) => to.map((other) => [one, other] as const))
}

function both(some: readonly NodeId[], others: readonly NodeId[]): (readonly [NodeId, NodeId])[] {
  return [...pairsOf(some, others), ...pairsOf(others, some)]
}

function isNear(a: number, b: number, count: number): boolean {
  const distance = Math.abs(a - b)
  return distance <= 1 || distance === count - 1
}
