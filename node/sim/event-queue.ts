// The one heap of everything that will happen, in virtual milliseconds. What is due at the same instant is ordered by lot (seeded), then by the order of asking.

export interface SimEvent {
  atMs: number
  /** Drawn from the seed: no order is promised between events of one instant. */
  readonly lot: number
  readonly order: number
  /** Whose event it is: held back while that node is stopped; undefined for the world's own. */
  readonly owner: EventOwner | undefined
  readonly run: () => void
  isCancelled: boolean
}

/** A process: its events wait while it is stopped and are forgotten when it has ended. */
export interface EventOwner {
  readonly isAlive: boolean
  readonly stoppedUntilMs: number
}

export class EventQueue {
  readonly #heap: SimEvent[] = []
  readonly #draw: (limit: number) => number
  #order = 0
  nowMs = 0

  constructor(draw: (limit: number) => number) {
    this.#draw = draw
  }

  get length(): number {
    return this.#heap.length
  }

  after(delayMs: number, owner: EventOwner | undefined, run: () => void): SimEvent {
    this.#order += 1
    const event = { atMs: this.nowMs + Math.max(0, delayMs), lot: this.#draw(256), order: this.#order, owner, run, isCancelled: false }
    this.#push(event)
    return event
  }

  /** The next event whose owner can take it, time moved on to it; undefined when nothing is left up to `untilMs`. */
  next(untilMs: number): SimEvent | undefined {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= untilMs; first = this.#heap[0]) {
      const event = this.#pop()
      if (event === undefined) return undefined
      if (event.isCancelled || event.owner?.isAlive === false) continue
      if (event.owner !== undefined && event.owner.stoppedUntilMs > event.atMs) {
        event.atMs = event.owner.stoppedUntilMs
        this.#push(event)
        continue
      }
      this.nowMs = Math.max(this.nowMs, event.atMs)
      return event
    }
    this.nowMs = Math.max(this.nowMs, untilMs)
    return undefined
  }

  #push(event: SimEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, event)) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  #pop(): SimEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, left)) child += 1
      const least = heap[child]
      if (least === undefined || isBefore(last, least)) break
      heap[at] = least
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  return a.lot !== b.lot ? a.lot < b.lot : a.order < b.order
}
