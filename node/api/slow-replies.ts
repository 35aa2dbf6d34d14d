// Ends connections whose client does not read its reply. One look at all open replies now and then instead of a timer for each: nearly all are on the wire at once.
import type { ServerResponse } from 'node:http'

const sweepsPerLimit = 4

export class SlowReplies {
  readonly #open = new Map<ServerResponse, number>()
  readonly limitMs: number
  readonly #sweep: NodeJS.Timeout

  constructor(limitMs: number) {
    this.limitMs = limitMs
    this.#sweep = setInterval(() => this.#cut(), Math.max(1, limitMs / sweepsPerLimit))
    this.#sweep.unref()
  }

  /** The reply has been given to the socket; it must have left within the limit, a quarter of it more at most. */
  watch(response: ServerResponse): void {
    this.#open.set(response, performance.now())
    response.once('close', () => this.#open.delete(response))
  }

  close(): void {
    clearInterval(this.#sweep)
  }

  #cut(): void {
    const sinceMs = performance.now() - this.limitMs
    for (const [response, startedAtMs] of this.#open) {
      // In order of their beginning.
      if (startedAtMs > sinceMs) return
      response.destroy()
    }
  }
}
