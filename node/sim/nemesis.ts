// Carries out the faults of a run (strikes.ts) and ends them. The rule of the atlas: what destroys data that had been synced only ever touches a minority of the voters at
// a time, and the next only when the last one is whole or replaced; otherwise a loss would be the world's doing. Power failures destroy nothing that was synced, so they
// may strike all.
import { Chance } from './chance.ts'
import type { Fault } from './fault.ts'
import { MembershipOperator } from './membership-operator.ts'
import { calm } from './network.ts'
import type { SimNode } from './sim-node.ts'
import { strikes } from './strikes.ts'
import type { World } from './world.ts'

export class Nemesis {
  readonly #world: World
  readonly #operator: MembershipOperator

  constructor(world: World, faults: readonly Fault[]) {
    this.#world = world
    this.#operator = new MembershipOperator(world)
    for (const fault of faults) world.queue.after(fault.atMs, undefined, () => this.#strike(fault, new Chance(fault.seed)))
  }

  /** Nothing breaks any more, everything that can be is up. */
  end(): void {
    const { network, nodes } = this.#world
    network.mendAll()
    network.weather = calm
    for (const node of nodes) {
      node.disk.limit(Infinity)
      node.disk.losePowerAfter(Infinity)
      node.diskDelayMs = 1
      if (node.life !== undefined) {
        node.life.stoppedUntilMs = 0
        node.life.endsAfterCalls = undefined
        node.life.endsInInstall = undefined
      }
      this.#world.restart(node, 10)
    }
  }

  #strike(fault: Fault, chance: Chance): void {
    const world = this.#world
    const victim = this.#victim(chance)
    if (victim === undefined || !strikes[fault.kind]({ world, operator: this.#operator, fault, chance, victim })) return
    world.trace.note(world.queue.nowMs, 'fault', `#${fault.number} ${fault.kind} ${victim.id}`)
    world.sometimes.met(`fault: ${fault.kind}`)
  }

  #victim(chance: Chance): SimNode | undefined {
    const any = chance.pick(this.#world.nodes.filter((node) => node.life !== undefined))
    return chance.happens(0.5) ? (this.#world.leader ?? any) : any
  }
}
