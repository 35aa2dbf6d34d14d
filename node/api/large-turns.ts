// Requests with large bodies take turns. Reading one and putting its texts before the gate is one stretch of the event loop, a tenth of a second and more; bodies that have
// arrived at the same time would be read one behind the other, and no heartbeat would leave for seconds. So in each turn of the loop only so many bytes are read, and after a
// long stretch the loop is for everybody else as long as it took. Small requests never wait here. Whoever waits holds its body; where nobody waits for the answer any more it is
// let go at the next turn, whose ever that is: the budget of bodies (body-budget.ts) no longer counts it.
import type { Clock } from '../replica/clock.ts'

/** A body of so many bytes is read at once, whoever waits: it takes a millisecond or two, and waiting for a turn would cost about as much. */
export const smallBytesMax = 2 * 1024
/** In one turn of the loop, of all clients together, but at least one body: some milliseconds. */
export const turnBytesMax = 32 * 1024
/** What took no longer asks for no rest. */
const shortMsMax = 5

interface Waiting {
  readonly bytes: number
  readonly isOver: () => boolean
  readonly go: () => void
}

export class LargeTurns {
  readonly #clock: Clock
  /** By client, each in the order of coming; whoever has just been let go is the last. */
  readonly #waiting = new Map<string, Waiting[]>()
  /** Undefined: nothing was read in this turn of the loop. */
  #bytesLeft: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many wait. */
  get count(): number {
    let count = 0
    for (const queue of this.#waiting.values()) count += queue.length
    return count
  }

  /**
   * Resolves when the client may do what takes as long as reading so many bytes, without awaiting anything on the way; undefined: it may at once. `isOver`: nobody waits for it
   * any more, and once it is let go it will do nothing.
   */
  next(client: string, bytes: number, isOver: () => boolean): Promise<void> | undefined {
    if (bytes <= smallBytesMax) return undefined
    if (this.#bytesLeft === undefined) this.#begin()
    if (this.#waiting.size === 0 && this.#take(bytes)) return undefined
    return new Promise((go) => {
      const queue = this.#waiting.get(client)
      if (queue === undefined) this.#waiting.set(client, [{ bytes, isOver, go }])
      else queue.push({ bytes, isOver, go })
    })
  }

  #begin(): void {
    this.#bytesLeft = turnBytesMax
    const beganAtMs = this.#clock.monotonicMs()
    this.#clock.soon(() => {
      const tookMs = this.#clock.monotonicMs() - beganAtMs
      // Until then nothing more is let go.
      this.#bytesLeft = 0
      if (tookMs <= shortMsMax) this.#end()
      else this.#clock.after(tookMs, () => this.#end())
    })
  }

  #end(): void {
    this.#bytesLeft = undefined
    this.#letGoOver()
    if (this.#waiting.size === 0) return
    this.#begin()
    for (const [client, queue] of this.#waiting) {
      const [first] = queue
      if (first === undefined || !this.#take(first.bytes)) return
      queue.shift()
      this.#waiting.delete(client)
      if (queue.length > 0) this.#waiting.set(client, queue)
      first.go()
    }
  }

  #letGoOver(): void {
    for (const [client, queue] of this.#waiting) {
      const rest: Waiting[] = []
      for (const one of queue) {
        if (one.isOver()) one.go()
        else rest.push(one)
      }
      if (rest.length === 0) this.#waiting.delete(client)
      else this.#waiting.set(client, rest)
    }
  }

  /** The first of a turn may have any size. */
  #take(bytes: number): boolean {
    const left = this.#bytesLeft ?? turnBytesMax
    if (left < turnBytesMax && left < bytes) return false
    this.#bytesLeft = Math.max(0, left - bytes)
    return true
  }
}
