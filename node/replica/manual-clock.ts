// A clock that moves only when it is told to: for tests. Everything that is due runs in order of time, then in order of asking.
import assert from 'node:assert/strict'
import type { Clock } from './clock.ts'

interface Timer {
  readonly callback: () => void
  dueAtMs: number
  readonly everyMs: number | undefined
  readonly order: number
}

/** More turns than this without time moving is a loop that feeds itself. */
const turnsMax = 100_000

export class ManualClock implements Clock {
  #nowMs = 0
  #order = 0
  readonly #timers = new Set<Timer>()
  #soon: (() => void)[] = []

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  every(intervalMs: number, callback: () => void): () => void {
    return this.#set({ callback, delayMs: intervalMs, everyMs: intervalMs })
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#set({ callback, delayMs, everyMs: undefined })
  }

  soon(callback: () => void): void {
    this.#soon.push(callback)
  }

  /** Runs what is to run soon, and what that asks for, without letting time pass. */
  settle(): void {
    for (let turn = 0; this.#soon.length > 0; turn += 1) {
      assert(turn < turnsMax, 'the loop does not come to rest')
      const due = this.#soon
      this.#soon = []
      for (const callback of due) callback()
    }
  }

  /** Lets time pass step by step, so that each timer runs at its own instant. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    this.settle()
    for (let next = this.#nextDue(untilMs); next !== undefined; next = this.#nextDue(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs)
      this.#fire(next)
      this.settle()
    }
    this.#nowMs = untilMs
  }

  /** The event loop stands still for `ms` and then each late timer runs once, as Node's do. */
  stall(ms: number): void {
    this.#nowMs += ms
    for (const timer of Array.from(this.#timers)) {
      if (timer.dueAtMs > this.#nowMs || !this.#timers.has(timer)) continue
      timer.dueAtMs = this.#nowMs
      this.#fire(timer)
    }
    this.settle()
  }

  #fire(timer: Timer): void {
    if (timer.everyMs === undefined) this.#timers.delete(timer)
    else timer.dueAtMs += timer.everyMs
    timer.callback()
  }

  #set(options: { readonly callback: () => void; readonly delayMs: number; readonly everyMs: number | undefined }): () => void {
    this.#order += 1
    const timer: Timer = {
      callback: options.callback,
      dueAtMs: this.#nowMs + options.delayMs,
      everyMs: options.everyMs,
      order: this.#order,
    }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  #nextDue(untilMs: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAtMs > untilMs) continue
      if (next === undefined || timer.dueAtMs < next.dueAtMs || (timer.dueAtMs === next.dueAtMs && timer.order < next.order)) next = timer
    }
    return next
  }
}
