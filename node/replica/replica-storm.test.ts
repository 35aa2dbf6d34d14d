// Whole replicas from a seed in bad weather: crashes and power failures, partitions, transfers, snapshots that fail and are damaged, databases that come to differ.
// In the end all agree, nothing acknowledged is lost and nothing is there twice. A failure names its seed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import { seededRandom } from '../raft/seeded-random.ts'
import { ids, World } from './replica-world.ts'

const seeds = 10
const steps = 120
const differencesMax = 2
const problems = ['unreachable', 'snapshot_gone', 'damaged'] as const

class Storm {
  readonly world: World
  readonly acknowledged: string[] = []
  readonly seen = new Set<string>()
  readonly #random: (below: number) => number
  #dead: NodeId | undefined
  #differences = 0
  #writes = 0

  constructor(seed: number) {
    const random = seededRandom(seed)
    this.#random = random
    const compaction = { everyEntries: 5, intervalMs: 500, trailingEntries: random(20), logBytesMax: random(2) === 0 ? 3_000 : 2 ** 30 }
    this.world = new World({ stateHashEveryEntries: 15, compaction })
  }

  async rage(): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      this.#strike(ids[this.#random(ids.length)]!)
      await this.world.run(this.#random(6) * 100)
    }
  }

  calm(): void {
    this.world.network.heal()
    this.#revive()
    for (const id of ids) this.world.node(id).source.fault = () => undefined
  }

  look(id: NodeId): void {
    for (const { kind } of this.world.node(id).events) this.seen.add(kind)
  }

  #strike(id: NodeId): void {
    const { world } = this
    const isDead = id === this.#dead
    switch (this.#random(12)) {
      case 0:
        return this.#kill(id)
      case 1:
      case 2:
        return this.#revive()
      case 3:
        return world.network.cut(id, ids[this.#random(ids.length)]!)
      case 4:
        return world.network.heal()
      case 5:
        return this.#differ(id)
      case 6:
        return void (isDead || world.at(id).transferLeadership({ to: undefined, timeoutMs: 1_000 }))
      case 7: {
        const failing = this.#random(4)
        world.node(id).source.fault = () => (this.#random(4) < failing ? problems[this.#random(problems.length)] : undefined)
        return
      }
      default:
        for (let n = 0; n < 8; n += 1) for (const target of ids) this.#write(target)
    }
  }

  #kill(id: NodeId): void {
    if (this.#dead !== undefined) return
    this.look(id)
    this.#dead = id
    this.world.kill(id)
    if (this.#random(2) === 0) this.world.node(id).database.losePower()
  }

  #revive(): void {
    if (this.#dead !== undefined) this.world.start(this.#dead)
    this.#dead = undefined
  }

  #differ(id: NodeId): void {
    if (this.#differences >= differencesMax || id === this.#dead || this.world.at(id).status().role === 'leader') return
    this.#differences += 1
    this.world.node(id).database.damage()
  }

  #write(id: NodeId): void {
    if (id === this.#dead) return
    this.#writes += 1
    const text = `${this.#writes}`
    void this.world
      .at(id)
      .propose(Buffer.from(text), { timeoutMs: 2_000 })
      .then((answer) => answer.ok && this.acknowledged.push(text))
  }
}

function isOne(world: World): boolean {
  const { appliedIndex, hash } = world.node(ids[0]!).database
  return ids.every((id) => {
    const { database, replica } = world.node(id)
    const isThere = database.appliedIndex === appliedIndex && database.hash === hash && replica.status().commitIndex === appliedIndex
    return isThere && replica.standing() === 'member' && replica.status().leader !== undefined
  })
}

const seen = new Set<string>()
for (let seed = 1; seed <= seeds; seed += 1) {
  test(`in bad weather nothing is lost and all agree in the end (seed ${seed})`, async () => {
    const storm = new Storm(seed)
    const { world } = storm
    await storm.rage()
    storm.calm()
    const settles = () => world.until(() => isOne(world), { withinMs: 120_000 })
    assert(await world.until(() => ids.some((id) => world.at(id).status().role === 'leader'), { withinMs: 60_000 }))
    // A difference that nobody has seen yet is seen with the next comparisons.
    for (let round = 0; round < 6 && !(await world.until(() => isOne(world), { withinMs: 10_000 })); round += 1)
      await world.writeMany(20, `calm ${round} `)
    assert(
      await settles(),
      JSON.stringify(ids.map((id) => [world.at(id).standing(), world.at(id).status(), world.node(id).events.slice(-4)])),
    )
    for (const id of ids) {
      assert.deepEqual(world.commands(id), world.commands(ids[0]!))
      storm.look(id)
    }
    const commands = new Set(world.commands(ids[0]!))
    assert.deepEqual(
      storm.acknowledged.filter((text) => !commands.has(text)),
      [],
      'acknowledged and lost',
    )
    assert.equal(commands.size, world.commands(ids[0]!).length, 'nothing is there twice')
    for (const kind of storm.seen) seen.add(kind)
  })
}

test('and the weather was bad: everything that a loop does by itself has happened', () => {
  const expected = [
    'diverged',
    'log-compacted',
    'snapshot-fetch-begun',
    'snapshot-fetch-failed',
    'snapshot-installed',
    'snapshot-received',
    'standing-changed',
  ]
  assert.deepEqual([...seen].filter((kind) => kind !== 'snapshot-fetch-progress').sort(), expected)
})
