// What every state machine must do; each implementation's test file calls this. What a command means belongs to the implementation, which brings samples.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry, type EntryKind } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from './eventually.ts'
import type { Applied, StateMachine } from './state-machine.ts'

export interface StateMachineUnderTest {
  readonly machine: StateMachine
  /** Closes the machine and opens it again from what is on disk. */
  readonly reopen: () => Promise<StateMachine>
  /** Removes everything. */
  readonly dispose: () => Promise<void>
  /** The payload of the nth sample command; all of them succeed in any order. */
  readonly command: (n: number) => Uint8Array
}

/** `make` gives a machine that has applied nothing. */
export function stateMachineContract(name: string, make: () => Promise<StateMachineUnderTest>): void {
  const contract = machineContract(name, make)

  contract('a new machine has applied nothing and knows no members', async ({ machine }) => {
    assert.equal(machine.appliedIndex, 0)
    assert.equal(machine.appliedTerm, 0)
    assert.equal(machine.membership, undefined)
    await Promise.resolve()
  })

  contract('results come in the order of the log, each once, whatever the batches were', async (world, driver) => {
    const log = Array.from({ length: 20 }, (_, n) => entry(n + 1, 'command', world.command(n)))
    driver.apply(log.slice(0, 1))
    driver.apply(log.slice(1, 13))
    driver.apply(log.slice(13))
    await driver.reached(20)
    assert.deepEqual(
      driver.applied.map((applied) => [applied.index, applied.term]),
      log.map((one) => [one.index, one.term]),
    )
    assert.equal(world.machine.appliedIndex, 20)
  })

  contract('a command has an outcome; noop and membership entries have none, but count as applied', async (world, driver) => {
    driver.apply([
      entry(1, 'noop', new Uint8Array()),
      entry(2, 'membership', encodeMembership(membership('n1'))),
      entry(3, 'command', world.command(1)),
    ])
    await driver.reached(3)
    assert.deepEqual(
      driver.applied.map((applied) => applied.outcome === undefined),
      [true, true, false],
    )
  })

  contract('the newest membership is known once its entry is applied', async (world, driver) => {
    driver.apply([entry(1, 'membership', encodeMembership(membership('n1')))])
    await driver.reached(1)
    assert.deepEqual(world.machine.membership, membership('n1'))
    driver.apply([entry(2, 'membership', encodeMembership(membership('n1', 'n2')))])
    await driver.reached(2)
    assert.deepEqual(world.machine.membership, membership('n1', 'n2'))
  })

  contract('reopened, it stands where it stood and goes on from there', async (world, driver) => {
    driver.apply([entry(1, 'membership', encodeMembership(membership('n1')), 4), entry(2, 'command', world.command(1), 5)])
    await driver.reached(2)
    const again = await world.reopen()
    assert.equal(again.appliedIndex, 2)
    assert.equal(again.appliedTerm, 5)
    assert.deepEqual(again.membership, membership('n1'))
    const second = new MachineDriver(again)
    second.apply([entry(3, 'command', world.command(2), 5)])
    await second.reached(3)
    assert.equal(again.appliedIndex, 3)
  })

  contract('an entry that does not follow the last one is a bug and is refused, not applied', async (world, driver) => {
    driver.apply([entry(1, 'command', world.command(1))])
    await driver.reached(1)
    assert.throws(() => driver.apply([entry(3, 'command', world.command(2))]))
    assert.equal(world.machine.appliedIndex, 1)
  })
}

/** What a barrier promises: the log may be compacted up to the index that it names. `make` as above. */
export function stateBarrierContract(name: string, make: () => Promise<StateMachineUnderTest>): void {
  const contract = machineContract(name, make)

  contract('what was applied before it was asked to be durable is', async (world, driver) => {
    driver.apply([entry(1, 'command', world.command(1)), entry(2, 'command', world.command(2))])
    await driver.reached(2)
    assert((await world.machine.makeDurable()) >= 2)
    assert((await world.machine.makeDurable()) >= 2, 'nothing new is no reason to wait')
    driver.apply([entry(3, 'command', world.command(3))])
    await driver.reached(3)
    assert((await world.machine.makeDurable()) >= 3)
  })

  contract('to be made durable while it applies disturbs nothing', async (world, driver) => {
    const durable: Promise<number>[] = []
    for (let index = 1; index <= 30; index += 1) {
      driver.apply([entry(index, 'command', world.command(index))])
      durable.push(world.machine.makeDurable())
    }
    await driver.reached(30)
    for (const index of await Promise.all(durable)) assert(index >= 0 && index <= 30)
    assert.equal(await world.machine.makeDurable(), 30)
  })
}

function machineContract(name: string, make: () => Promise<StateMachineUnderTest>) {
  return (title: string, body: (world: StateMachineUnderTest, driver: MachineDriver) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const world = await make()
      try {
        await body(world, new MachineDriver(world.machine))
      } finally {
        await world.dispose()
      }
    })
  }
}

/** Applies and remembers what was told. */
export class MachineDriver {
  readonly applied: Applied[] = []
  readonly #machine: StateMachine

  constructor(machine: StateMachine) {
    this.#machine = machine
    machine.onApplied((applied) => this.applied.push(...applied))
  }

  apply(entries: readonly Entry[]): void {
    this.#machine.apply(entries)
  }

  async reached(index: number): Promise<void> {
    await eventually(() => this.applied.at(-1)?.index === index, `entry ${index} is applied`)
  }
}

/** Of term 1, unless another is given. */
export function entry(index: number, kind: EntryKind, payload: Uint8Array, term = 1): Entry {
  return makeEntry({ index, term, kind, payload })
}

function membership(...ids: readonly string[]): Membership {
  return virtualMembership(ids)
}
