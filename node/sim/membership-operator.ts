// The one who runs the cluster: adds nodes, removes them, replaces those that are lost. It asks whoever leads, again and again until it is done or the run ends.
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership, MembershipChange } from '../raft/membership.ts'
import type { Life } from './life.ts'
import type { SimNode } from './sim-node.ts'
import { memberOf, type World } from './world.ts'

const membersMax = 7
const attemptsMax = 60

export class MembershipOperator {
  readonly #world: World
  /** Leaders that have not answered: what they were asked for may still be put into a log. */
  readonly #asked = new Set<Life>()

  constructor(world: World) {
    this.#world = world
    world.onLost = (node) => this.#replace(node)
  }

  /** False: the cluster is large enough. */
  add(): boolean {
    if (this.#voters().length >= membersMax || this.#world.nodes.filter((node) => !node.isGone).length > membersMax + 2) return false
    const node = this.#world.addNode({ isFounder: false })
    this.#world.start(node)
    const { suffrage: _, ...member } = memberOf(node.id, 'learner')
    this.#ask({ kind: 'add-learner', member }, attemptsMax)
    return true
  }

  remove(node: SimNode | undefined): boolean {
    if (node === undefined || !this.#mayRemove(node)) return false
    this.#ask({ kind: 'remove', id: node.id }, attemptsMax)
    return true
  }

  /** Its disk is gone for good: it is removed and another takes its place. */
  lose(node: SimNode | undefined): boolean {
    if (node === undefined || !this.mayDestroy(node)) return false
    this.#world.end(node, 'power')
    node.isGone = true
    node.disk.wipe()
    node.database.dispose()
    this.#replace(node)
    return true
  }

  #replace(node: SimNode): void {
    this.#world.queue.after(200, undefined, () => {
      this.add()
      this.#ask({ kind: 'remove', id: node.id }, attemptsMax)
    })
  }

  /** The rule of the atlas, by the newest membership and by all that survivors of a power failure could still go by. */
  mayDestroy(node: SimNode): boolean {
    // A leader that differs makes all others take its state for theirs: then it must not be lost.
    if (this.#isChanging() || node.isDiverged || !this.#voters().includes(node)) return false
    const survivors = this.#world.nodes.filter((other) => !other.isGone && other !== node)
    const remembered = survivors.map(({ database }) => database.durableMembership ?? this.#world.founders)
    // What was applied after that may be left in part: any membership since then may be the one to go by.
    const durableFrom = Math.min(...survivors.map(({ database }) => database.durableIndex))
    return [this.#newest(), ...remembered, ...this.#committedAfter(durableFrom)].every((membership) => {
      const voters = this.#votersOf(membership)
      const damaged = voters.filter((voter) => isDamaged(voter) || voter === node).length
      return damaged <= Math.floor((voters.length - 1) / 2)
    })
  }

  #committedAfter(index: number): readonly Membership[] {
    const entries = this.#world.invariants.committed.slice(index).filter(({ kind }) => kind === 'membership')
    return entries.flatMap(({ payload }) => {
      const membership = decodeMembership(payload)
      return membership.ok ? [membership.value] : []
    })
  }

  #mayRemove(node: SimNode): boolean {
    const voters = this.#voters()
    // See mayDestroy: once it has led, its state is what all others take for theirs, now or in a moment.
    if (node.isDiverged && !node.isGone) return false
    if (isDamaged(node)) return true
    const damaged = voters.filter(isDamaged).length
    return voters.length > 2 && damaged <= Math.floor((voters.length - 2) / 2)
  }

  #ask(change: MembershipChange, left: number): void {
    const { queue, leader, sometimes } = this.#world
    const again = (): void => {
      if (left > 1) queue.after(150, undefined, () => this.#ask(change, left - 1))
    }
    const victim = change.kind === 'remove' ? this.#world.nodes.find((node) => node.id === change.id) : undefined
    if (leader?.life?.loop === undefined || (victim !== undefined && !this.#mayRemove(victim))) return again()
    const wasLeader = victim === leader
    const { life } = leader
    this.#asked.add(life)
    leader.life.loop.changeMembership(change, { timeoutMs: 600 }).then((ended) => {
      this.#asked.delete(life)
      if (ended.ok) sometimes.met(`membership: ${wasLeader ? 'leader removed' : change.kind}`)
      else if (ended.problem.code !== 'membership_change_invalid') again()
    }, this.#world.broke)
  }

  #newest(): Membership {
    return this.#world.invariants.membership ?? this.#world.founders
  }

  #voters(): readonly SimNode[] {
    return this.#votersOf(this.#newest())
  }

  #votersOf(membership: Membership): readonly SimNode[] {
    return this.#world.nodes.filter((node) =>
      membership.members.some((member) => member.id === node.id && member.incarnation === node.incarnation && member.suffrage === 'voter'),
    )
  }

  /** Some log holds a membership that is not committed yet, or soon may. */
  #isChanging(): boolean {
    if (Array.from(this.#asked).some((life) => life.isAlive)) return true
    const committed = this.#world.invariants.committed.length
    return this.#world.nodes.some(({ durable, life }) => {
      const reader = life?.reader
      if (reader === undefined) return durable.entries.some((entry) => entry.index > committed && entry.kind === 'membership')
      const from = Math.max(committed, reader.base.index) + 1
      const to = reader.lastIndex()
      return from <= to && reader.read({ from, to, bytesMax: Infinity }).some((entry) => entry.kind === 'membership')
    })
  }
}

function isDamaged(node: SimNode): boolean {
  return !node.isSound
}
