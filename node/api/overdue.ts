// Ends what a client keeps waiting for too long: a body that does not come, a reply that it does not read. One look at all that is open now and then instead of a timer for
// each: nearly all are over at once, and setting and clearing a timer costs more than reading a body.

const sweepsPerLimit = 4

export class Overdue {
  readonly limitMs: number
  /** In the order of their beginning. */
  readonly #open = new Map<() => void, number>()
  readonly #sweep: NodeJS.Timeout

  constructor(limitMs: number) {
    this.limitMs = limitMs
    this.#sweep = setInterval(() => this.#end(), Math.max(1, limitMs / sweepsPerLimit))
    this.#sweep.unref()
  }

  /** `end` is called when the limit has passed, a quarter of it later at most, and `isOver` was not. */
  watch(end: () => void): void {
    this.#open.set(end, performance.now())
  }

  isOver(end: () => void): void {
    this.#open.delete(end)
  }

  #end(): void {
    const sinceMs = performance.now() - this.limitMs
    for (const [end, beganAtMs] of this.#open) {
      if (beganAtMs > sinceMs) return
      this.#open.delete(end)
      end()
    }
  }
}
