// A node's clock in virtual time: it may run fast or slow and its wall clock may jump. Timers behave as Node's: a late one fires once and counts on from there.
import type { Clock } from '../replica/clock.ts'
import type { EventOwner, EventQueue, SimEvent } from './event-queue.ts'

/** Longer than the clock of a machine: what one turn of an event loop takes. */
const turnMs = 0.02

export class VirtualClock implements Clock {
  readonly #queue: EventQueue
  readonly #owner: EventOwner
  readonly #rate: number
  #wallOffsetMs = 1_700_000_000_000

  /** `rate`: how many of its milliseconds pass in one of the world's. */
  constructor(queue: EventQueue, owner: EventOwner, rate: number) {
    this.#queue = queue
    this.#owner = owner
    this.#rate = rate
  }

  monotonicMs(): number {
    return this.#queue.nowMs * this.#rate
  }

  wallMs(): number {
    return Math.round(this.#wallOffsetMs + this.monotonicMs())
  }

  jump(ms: number): void {
    this.#wallOffsetMs += ms
  }

  every(intervalMs: number, callback: () => void): () => void {
    let next: SimEvent
    const arm = (): void => {
      next = this.#queue.after(intervalMs / this.#rate, this.#owner, () => {
        arm()
        callback()
      })
    }
    arm()
    return () => {
      next.isCancelled = true
    }
  }

  after(delayMs: number, callback: () => void): () => void {
    const event = this.#queue.after(delayMs / this.#rate, this.#owner, callback)
    return () => {
      event.isCancelled = true
    }
  }

  soon(callback: () => void): void {
    this.#queue.after(turnMs, this.#owner, callback)
  }
}
