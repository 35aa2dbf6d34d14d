// The rest of what the replica asks of a state machine: barriers, and hashes by which members are compared.
import { stateHashContract } from '../replica/state-hash-contract.ts'
import { stateBarrierContract } from '../replica/state-machine-contract.ts'
import { machineUnderTest } from './test-machine.ts'

stateBarrierContract('sqlite state machine', machineUnderTest)
stateHashContract('sqlite state machine', machineUnderTest)
