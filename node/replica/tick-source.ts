// Turns elapsed time into ticks. A timer that fires late owes several; they are paid one per turn, after what the network has brought meanwhile, and never more than
// one election's worth: a node that was stopped for a minute must hear its leader's heartbeats before it decides that there is no leader.
import type { Clock } from './clock.ts'

export class TickSource {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #owedMax: number
  readonly #stop: () => void
  #countedToMs: number
  #owed = 0

  constructor(options: { readonly clock: Clock; readonly tickMs: number; readonly owedMax: number; readonly onOwed: () => void }) {
    this.#clock = options.clock
    this.#tickMs = options.tickMs
    this.#owedMax = options.owedMax
    this.#countedToMs = options.clock.monotonicMs()
    this.#stop = options.clock.every(options.tickMs, () => {
      this.#count()
      options.onOwed()
    })
  }

  get owed(): number {
    return this.#owed
  }

  /** Pays one tick; false when none is owed. */
  take(): boolean {
    if (this.#owed === 0) return false
    this.#owed -= 1
    return true
  }

  close(): void {
    this.#stop()
  }

  #count(): void {
    const elapsed = Math.round((this.#clock.monotonicMs() - this.#countedToMs) / this.#tickMs)
    this.#owed = Math.min(this.#owedMax, this.#owed + elapsed)
    this.#countedToMs += elapsed * this.#tickMs
  }
}
