// Port: where log, term and vote are kept. Owned by the replica loop; `node/store` implements it on disk, `memory-log-store.ts` in memory.
import type { HardState, LogBase, LogReader, Persist } from '../raft/raft-port.ts'

export interface LogStore {
  /** The durable and the just written entries, as one log. */
  readonly reader: LogReader
  readonly hardState: HardState
  /**
   * Starts writing; returns at once. Calls come in order of sequence. When everything up to a sequence is on disk the listener hears of it
   * (one call may cover several sequences: natural batching). A disk that refuses ends the process: a retried fsync may lie.
   * `persist.reset` is ordered with the appends before and after it.
   */
  append(persist: Persist): void
  /**
   * Gives up the entries up to and including `to.index`, which the state machine holds durably; `reader.base` moves at once, the disk follows in its own time. An index
   * at or below the base changes nothing.
   */
  compact(to: LogBase): void
  /** Of everything the log occupies on disk. */
  bytes(): number
  /** Set once, before the first append. */
  onDurable(listener: (sequence: number) => void): void
  close(): Promise<void>
}
