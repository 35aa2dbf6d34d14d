// What state hashes promise, of every state machine; each implementation's test file calls this.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../raft/entry.ts'
import { eventually, meanwhile } from './eventually.ts'
import { entry, MachineDriver, type StateMachineUnderTest } from './state-machine-contract.ts'
import type { Divergence, StateMachine } from './state-machine.ts'

export interface StateHashUnderTest extends StateMachineUnderTest {
  /** A command that succeeds in the place of the nth sample and leaves another state behind. */
  readonly otherCommand: (n: number) => Uint8Array
}

/** Rounds after which a state hash must have told two state machines apart. */
const roundsMax = 20
const commandsPerRound = 500

/** `make` gives a machine that has applied nothing; it is called once for each of two state machines. */
export function stateHashContract(name: string, make: () => Promise<StateHashUnderTest>): void {
  const contract = (title: string, body: (pair: MachinePair) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const worlds = [await make(), await make()] as const
      try {
        await body(new MachinePair(worlds[0], worlds[1]))
      } finally {
        for (const world of worlds) await world.dispose()
      }
    })
  }

  contract('state machines that applied the same entries agree in every hash', async (pair) => {
    let hashes = 0
    for (let round = 0; round < 4; round += 1) hashes += (await pair.round()) ? 1 : 0
    assert(hashes > 0, 'there was something to compare')
    assert.deepEqual(pair.divergences, [])
  })

  contract('a state hash has no outcome, counts as applied, and there is nothing new to compare right after it', async (pair) => {
    while (!(await pair.round())) assert(pair.rounds < roundsMax)
    assert.equal(pair.a.machine.stateHash(), undefined)
    assert.equal(pair.b.machine.stateHash(), undefined)
    assert.equal(pair.a.driver.applied.at(-1)?.outcome, undefined)
    assert.equal(pair.a.machine.appliedIndex, pair.a.driver.applied.at(-1)?.index)
  })

  contract('one that applied something else is told so once, and applies nothing from there on', async (pair) => {
    pair.useOtherCommandAtB()
    while (pair.divergences.length === 0) {
      assert(pair.rounds < roundsMax, 'the difference was not seen')
      await pair.round()
    }
    const { own, expected } = pair.divergences[0] ?? { own: '', expected: '' }
    assert.match(own, /^[0-9a-f]+$/)
    assert.match(expected, /^[0-9a-f]+$/)
    assert.notEqual(own, expected)
    const stoppedAt = pair.b.machine.appliedIndex
    await pair.round()
    await meanwhile()
    assert.equal(pair.b.machine.appliedIndex, stoppedAt)
    assert.equal(pair.divergences.length, 1)
  })
}

/** Two state machines that are given one log; `a` proposes the state hashes, as a leader does. */
class MachinePair {
  readonly a: { readonly machine: StateMachine; readonly driver: MachineDriver }
  readonly b: { readonly machine: StateMachine; readonly driver: MachineDriver }
  /** As seen by `b`. */
  readonly divergences: Divergence[] = []
  rounds = 0
  readonly #world: StateHashUnderTest
  #index = 0
  #otherAtB = 0

  constructor(a: StateHashUnderTest, b: StateHashUnderTest) {
    this.#world = a
    this.a = { machine: a.machine, driver: new MachineDriver(a.machine) }
    this.b = { machine: b.machine, driver: new MachineDriver(b.machine) }
    b.machine.onDiverged((divergence) => this.divergences.push(divergence))
  }

  useOtherCommandAtB(): void {
    this.#otherAtB = this.#index + 1
  }

  /** Commands, then a state hash if there is one; false when there was none. */
  async round(): Promise<boolean> {
    this.rounds += 1
    const from = this.#index + 1
    this.#index += commandsPerRound
    this.a.driver.apply(this.#commands(from, (n) => this.#world.command(n)))
    this.b.driver.apply(this.#commands(from, (n) => (n === this.#otherAtB ? this.#world.otherCommand(n) : this.#world.command(n))))
    await this.#reached()
    const hash = this.a.machine.stateHash()
    if (hash === undefined) return false
    this.#index += 1
    for (const { driver } of [this.a, this.b]) driver.apply([entry(this.#index, 'state-hash', hash)])
    await this.#reached()
    return true
  }

  async #reached(): Promise<void> {
    await this.a.driver.reached(this.#index)
    await eventually(
      () => this.divergences.length > 0 || this.b.machine.appliedIndex === this.#index,
      `entry ${this.#index} is applied, or a difference seen`,
    )
  }

  #commands(from: number, payload: (n: number) => Uint8Array): readonly Entry[] {
    return Array.from({ length: commandsPerRound }, (_, position) => entry(from + position, 'command', payload(from + position)))
  }
}
