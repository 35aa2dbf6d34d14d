import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryDatabase, MemoryStateMachine } from './memory-state-machine.ts'
import { stateHashContract, type StateHashUnderTest } from './state-hash-contract.ts'
import { stateBarrierContract, stateMachineContract } from './state-machine-contract.ts'
import { systemClock } from './system-clock.ts'

function make(): Promise<StateHashUnderTest> {
  const database = new MemoryDatabase()
  let machine = new MemoryStateMachine(database, systemClock)
  const reopen = async () => {
    await machine.close()
    machine = new MemoryStateMachine(database, systemClock)
    return machine
  }
  return Promise.resolve({
    machine,
    reopen,
    dispose: () => machine.close(),
    command: (n: number) => new TextEncoder().encode(`command ${n}`),
    otherCommand: (n: number) => new TextEncoder().encode(`other command ${n}`),
  })
}

stateMachineContract('the state machine in memory', make)
stateBarrierContract('the state machine in memory', make)
stateHashContract('the state machine in memory', make)

test('a power failure takes what was not made durable, and only that', async () => {
  const clock = new ManualClock()
  const database = new MemoryDatabase()
  const machine = new MemoryStateMachine(database, clock)
  const command = (index: number) => makeEntry({ index, term: 1, kind: 'command', payload: Buffer.from(`${index}`) })
  machine.apply([command(1), command(2)])
  clock.settle()
  assert.equal(await machine.makeDurable(), 2)
  machine.apply([command(3)])
  clock.settle()
  machine.crash()
  assert.deepEqual(database.commands, ['1', '2', '3'])
  database.losePower()
  assert.deepEqual([database.appliedIndex, database.commands], [2, ['1', '2']])
})
