import { MemoryDatabase, MemoryStateMachine } from './memory-state-machine.ts'
import { stateMachineContract } from './state-machine-contract.ts'
import { systemClock } from './system-clock.ts'

stateMachineContract('the state machine in memory', () => {
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
  })
})
