// The rest of what the replica asks of a state machine: barriers, and hashes by which members are compared.
import assert from 'node:assert/strict'
import { encodeCommand } from '../command/command-codec.ts'
import { stateHashContract, type StateHashUnderTest } from '../replica/state-hash-contract.ts'
import { stateBarrierContract } from '../replica/state-machine-contract.ts'
import { TestMachine, command } from './test-machine.ts'

function make(): Promise<StateHashUnderTest> {
  const world = new TestMachine()
  const insert = (n: number): Uint8Array =>
    encodeCommand(command(['CREATE TABLE IF NOT EXISTS t (n INTEGER)', ['INSERT INTO t VALUES (?)', n]], { transaction: n % 2 === 0 }))
  return Promise.resolve({
    machine: world.machine,
    reopen: async () => {
      await world.reopen()
      return world.machine
    },
    dispose: async () => {
      assert.deepEqual(world.fatal, [])
      await world.dispose()
    },
    command: insert,
    otherCommand: (n) => insert(-n),
  })
}

stateBarrierContract('sqlite state machine', make)
stateHashContract('sqlite state machine', make)
