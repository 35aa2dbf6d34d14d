// Callers who wait for the state machine to reach an index, each with a deadline.

interface Waiter {
  readonly index: number
  readonly deadlineAtMs: number
  readonly end: (reached: boolean) => void
}

export class WaitingRoom {
  // In ascending order of index.
  #waiters: Waiter[] = []
  #earliestDeadlineAtMs = Infinity

  get count(): number {
    return this.#waiters.length
  }

  add(waiter: Waiter): void {
    this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, waiter.deadlineAtMs)
    let low = 0
    let high = this.#waiters.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#waiters[middle]?.index ?? Infinity) <= waiter.index) low = middle + 1
      else high = middle
    }
    this.#waiters.splice(low, 0, waiter)
  }

  reached(index: number): void {
    let done = 0
    while ((this.#waiters[done]?.index ?? Infinity) <= index) done += 1
    if (done === 0) return
    for (const waiter of this.#waiters.splice(0, done)) waiter.end(true)
  }

  expire(nowMs: number): void {
    if (nowMs < this.#earliestDeadlineAtMs) return
    const expired = this.#waiters.filter((waiter) => waiter.deadlineAtMs <= nowMs)
    this.#waiters = this.#waiters.filter((waiter) => waiter.deadlineAtMs > nowMs)
    this.#earliestDeadlineAtMs = this.#waiters.reduce((earliest, waiter) => Math.min(earliest, waiter.deadlineAtMs), Infinity)
    for (const waiter of expired) waiter.end(false)
  }

  endAll(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.end(false)
  }
}
