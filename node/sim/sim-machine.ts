// Port: a state machine of the simulator: the production port and what clients and checkers need of it. `model-machine.ts` is the cheap one.
import type { Membership } from '../raft/membership.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { StateMachine } from '../replica/state-machine.ts'
import type { Operation, ReadAnswer, WriteAnswer, WriteOperation } from './operation.ts'

export interface SimMachine extends StateMachine {
  /** As of what is applied now. */
  read(operation: Extract<Operation, { kind: 'read' }>): ReadAnswer
  answer(outcome: unknown): WriteAnswer
  /** Counters by key, and the idempotency keys of the increments that took effect. */
  audit(): { readonly counters: ReadonlyMap<number, number>; readonly done: ReadonlySet<number> }
  /** Everything that it holds. */
  digest(): string
}

/** What outlives the process: a database file, so to speak. */
export interface SimDatabase {
  /** What would be left by a power failure. */
  readonly durableIndex: number
  readonly durableMembership: Membership | undefined
  /** Where it stands, process or not. */
  readonly appliedIndex: number
  readonly appliedTerm: number
  /** All of it, at one index; undefined: before the first membership. */
  copy(): { readonly point: SnapshotPoint; readonly bytes: Uint8Array } | undefined
  /** What a copy says of itself; undefined: it is none. */
  pointIn(bytes: Uint8Array): SnapshotPoint | undefined
  /** Makes all of it survive a power failure, at once. */
  makeDurable(): number
  /** For `putBack`: what is durable. */
  image(): unknown
  putBack(image: unknown): void
  /** Comes to differ from the others without knowing it; false: it cannot. */
  diverge(): boolean
  /** At once and durably, also under a machine that is open and has nothing under way. */
  replace(bytes: Uint8Array): void
  open(ports: SimMachinePorts): SimMachine
  /** The process has ended; with `power`, what was not durable may be gone, whole transactions at a time. */
  crash(how: 'process' | 'power'): void
  /** For good: its files are removed. */
  dispose(): void
  encode(operation: WriteOperation): Uint8Array
}

export interface SimMachinePorts {
  /** Runs a callback later, on a thread of its own so to speak. */
  readonly later: (run: () => void) => void
  /** After each entry; `hash` is the same on every node that has applied as much. */
  readonly onStep: (index: number, hash: number) => void
  /** A copy has taken the place of everything. */
  readonly onReplaced: (index: number, hash: number) => void
}
