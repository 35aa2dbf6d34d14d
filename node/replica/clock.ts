// Port: time for the replica loop. The system's is monotonic (never the wall clock: it jumps); tests and the simulator own theirs.
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin. */
  monotonicMs(): number
  /** Wall-clock milliseconds since the epoch; stamps proposals, decides nothing in Raft. */
  wallMs(): number
  /** Calls `callback` every `intervalMs` until the returned function is called. */
  every(intervalMs: number, callback: () => void): () => void
  /** Calls `callback` soon, after the events that have already arrived (one turn of the loop). */
  soon(callback: () => void): void
  /** Calls `callback` once after `delayMs` unless the returned function is called first. */
  after(delayMs: number, callback: () => void): () => void
}
