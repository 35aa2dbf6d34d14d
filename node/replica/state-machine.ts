// Port: what committed entries are applied to. Owned by the replica loop; `node/store` implements it with SQLite, `memory-state-machine.ts` in memory.
import type { Entry } from '../raft/entry.ts'
import type { Membership } from '../raft/membership.ts'

/** What the proposer of a command gets back: opaque to Raft and to the replica. */
export type Outcome = unknown

export interface Applied {
  readonly index: number
  readonly term: number
  /** Absent for noop and membership entries. */
  readonly outcome: Outcome
}

export interface Divergence {
  readonly index: number
  /** Hexadecimal. */
  readonly own: string
  readonly expected: string
}

export interface StateMachine {
  /** As of the last applied entry, read back from the data's own transaction. `membership` is undefined only before the first membership entry or bootstrap. */
  readonly appliedIndex: number
  readonly appliedTerm: number
  readonly membership: Membership | undefined
  /**
   * Applies contiguous entries in one transaction, `appliedIndex`, `appliedTerm` and membership in it too; the listener hears of the results in order.
   * May answer later (a worker): calls queue. An environment error (disk full, I/O, corrupt) ends the process; it is never recorded as a result.
   */
  apply(entries: readonly Entry[]): void
  onApplied(listener: (applied: readonly Applied[]) => void): void
  /** Makes everything applied so far survive a power failure; resolves with the index up to which that holds. The log may be compacted no further than there. */
  makeDurable(): Promise<number>
  /** What this state machine has arrived at, to be compared by all others when they apply a `state-hash` entry; undefined while there is nothing new to compare. */
  stateHash(): Uint8Array | undefined
  /** A `state-hash` entry did not match what this state machine had arrived at. Called once; nothing is applied from then on until a snapshot is installed. */
  onDiverged(listener: (divergence: Divergence) => void): void
  close(): Promise<void>
}
