// The queue between events and reconciles. It carries keys only: what happened does not matter, what is true when the key's turn comes does
// (level-triggered). The same key never waits twice and never runs twice at a time; an event during its run makes it run once more.
import { jitteredBackOffMs } from '../../runtime/back-off.ts'
import type { BackOff } from '../../runtime/back-off.ts'
import type { Clock } from './clock.ts'

/** `again`: come back after that time even if nothing happens. `failed`: come back after the key's own back-off. */
export type WorkOutcome = { readonly kind: 'done' } | { readonly kind: 'again'; readonly afterMs: number } | { readonly kind: 'failed' }

export interface WorkQueueOptions {
  readonly clock: Clock
  /** Gives [0, 1). */
  readonly random: () => number
  /** Keys that run at the same time. */
  readonly workers: number
  readonly work: (key: string) => Promise<WorkOutcome>
  readonly backOff?: BackOff
}

/** As controller-runtime's: quick at first, since most failures are conflicts; five minutes at last. */
export const workBackOff: BackOff = { firstMs: 5, maxMs: 300_000 }

export class WorkQueue {
  readonly #options: WorkQueueOptions
  readonly #waiting = new Set<string>()
  readonly #running = new Map<string, Promise<void>>()
  /** Keys that were added while they ran. */
  readonly #dirty = new Set<string>()
  readonly #delayed = new Map<string, { readonly atMs: number; readonly cancel: () => void }>()
  readonly #failures = new Map<string, number>()
  #closed = false

  constructor(options: WorkQueueOptions) {
    this.#options = options
  }

  /** Keys that wait for a worker now. */
  get depth(): number {
    return this.#waiting.size
  }

  /** Keys that run now. */
  get active(): number {
    return this.#running.size
  }

  add(key: string): void {
    if (this.#closed) return
    this.#cancelDelay(key)
    if (this.#running.has(key)) this.#dirty.add(key)
    else this.#waiting.add(key)
    this.#dispatch()
  }

  /** Adds `key` later; of several delays of one key the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return
    const atMs = this.#options.clock.monotonicMs() + delayMs
    const present = this.#delayed.get(key)
    if (present !== undefined && present.atMs <= atMs) return
    this.#cancelDelay(key)
    const cancel = this.#options.clock.after(delayMs, () => this.add(key))
    this.#delayed.set(key, { atMs, cancel })
  }

  /** Takes no more work; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true
    this.#waiting.clear()
    this.#dirty.clear()
    for (const key of this.#delayed.keys()) this.#cancelDelay(key)
    await Promise.all(this.#running.values())
  }

  #dispatch(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.workers) return
      this.#waiting.delete(key)
      this.#running.set(key, this.#run(key))
    }
  }

  async #run(key: string): Promise<void> {
    // A turn of the loop first: `add` never runs the work inside its caller.
    await Promise.resolve()
    const outcome = await this.#options.work(key)
    this.#running.delete(key)
    if (this.#closed) return
    this.#settle(key, outcome)
    if (this.#dirty.delete(key)) this.add(key)
    this.#dispatch()
  }

  #settle(key: string, outcome: WorkOutcome): void {
    const { random, backOff = workBackOff } = this.#options
    if (outcome.kind === 'failed') {
      const failures = (this.#failures.get(key) ?? 0) + 1
      this.#failures.set(key, failures)
      this.addAfter(key, jitteredBackOffMs(backOff, failures, random))
      return
    }
    this.#failures.delete(key)
    if (outcome.kind === 'again') this.addAfter(key, outcome.afterMs)
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.cancel()
    this.#delayed.delete(key)
  }
}
