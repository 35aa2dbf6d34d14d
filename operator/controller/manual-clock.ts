// The twin of the clock for tests: time passes when the test says so, and everything that falls due runs in order.
import type { Clock } from './clock.ts'

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

/** Turns of the event loop that let every promise chain of a test settle between two instants; nothing here waits for real input or output. */
const turnsPerInstant = 10

export class ManualClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<Timer>()
  readonly #epochMs: number

  constructor(epochMs = Date.UTC(2026, 0, 2, 3, 4, 5)) {
    this.#epochMs = epochMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#epochMs + this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** How many timers are pending: none after a clean close. */
  get pending(): number {
    return this.#timers.size
  }

  /** Lets everything settle that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < turnsPerInstant; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Lets `durationMs` pass, one due timer after the other. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await this.settle()
    for (let next = this.#firstBy(endMs); next !== undefined; next = this.#firstBy(endMs)) {
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
      await this.settle()
    }
    this.#nowMs = endMs
  }

  #firstBy(endMs: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) if (timer.atMs <= endMs && (first === undefined || timer.atMs < first.atMs)) first = timer
    return first
  }
}
