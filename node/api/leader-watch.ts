// Where a request waits for a leader: woken by what the consensus tells, not by looking again and again. The pause is for what has no event: a connection that comes
// back, a handing over that was given up.
import { backOffMs } from '../../runtime/back-off.ts'
import type { RaftEvent } from '../raft/raft-port.ts'
import type { Replica } from '../replica/replica-port.ts'

/** `overloaded`: too many wait already. `closing`: the node ends and nobody will answer here. */
export type WaitEnd = 'look-again' | 'overloaded' | 'closing'

// The first pause is a handing over that goes well; the last one what a person does not notice. Growing, because whoever waits for long waits for an election.
const pauses = { firstMs: 20, maxMs: 250 }

export class LeaderWatch {
  readonly #replica: () => Replica | undefined
  readonly #waitersMax: number
  readonly #waiters = new Set<(end: WaitEnd) => void>()
  #watched: Replica | undefined
  #changes = 0
  #isClosed = false

  constructor(options: { readonly replica: () => Replica | undefined; readonly waitersMax: number }) {
    this.#replica = options.replica
    this.#waitersMax = options.waitersMax
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /** Counts what has happened; taken *before* the leader is looked for, so that nothing falls between looking and waiting. */
  get changes(): number {
    this.#watch()
    return this.#changes
  }

  /** Resolves as soon as there has been a change since `seen`, or after a pause that grows with `attempt` and never exceeds `timeoutMs`. */
  next(seen: number, options: { readonly attempt: number; readonly timeoutMs: number }): Promise<WaitEnd> {
    if (this.#isClosed) return Promise.resolve('closing')
    if (this.changes !== seen) return Promise.resolve('look-again')
    if (this.#waiters.size >= this.#waitersMax) return Promise.resolve('overloaded')
    const pauseMs = Math.min(backOffMs(pauses, options.attempt + 1), options.timeoutMs)
    return new Promise((resolve) => {
      const end = (how: WaitEnd): void => {
        clearTimeout(timer)
        this.#waiters.delete(end)
        resolve(how)
      }
      const timer = setTimeout(() => end('look-again'), pauseMs)
      this.#waiters.add(end)
    })
  }

  /** Everyone who waits is told, and nobody waits any more. */
  close(): void {
    this.#isClosed = true
    this.#wake('closing')
  }

  #watch(): void {
    const replica = this.#replica()
    if (replica === undefined || replica === this.#watched) return
    // The node has just come to belong to a cluster: that is a change too.
    this.#watched = replica
    this.#changes += 1
    replica.onEvent((event) => {
      if (!isWorthLooking(event)) return
      this.#changes += 1
      this.#wake('look-again')
    })
  }

  #wake(how: WaitEnd): void {
    for (const end of Array.from(this.#waiters)) end(how)
  }
}

function isWorthLooking(event: RaftEvent): boolean {
  return (
    event.kind === 'became-leader' ||
    event.kind === 'membership-changed' ||
    (event.kind === 'became-follower' && event.leader !== undefined)
  )
}
