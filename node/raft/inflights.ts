// The window of appends sent to one follower and not yet confirmed, bounded in messages and bytes: a slow follower holds back only itself.
import assert from 'node:assert/strict'

interface Flight {
  readonly lastIndex: number
  readonly bytes: number
}

export class Inflights {
  readonly #limits: { readonly messagesMax: number; readonly bytesMax: number }
  // Oldest first; few enough that dropping from the front by copying costs nothing.
  #flights: Flight[] = []
  #bytes = 0

  constructor(limits: { readonly messagesMax: number; readonly bytesMax: number }) {
    this.#limits = limits
  }

  get count(): number {
    return this.#flights.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** A message may start while the window is not full, so one larger than the window still goes out alone. */
  get full(): boolean {
    return this.#flights.length >= this.#limits.messagesMax || this.#bytes >= this.#limits.bytesMax
  }

  add(flight: Flight): void {
    assert(!this.full, 'an append was sent into a full window')
    const newest = this.#flights.at(-1)
    assert(newest === undefined || flight.lastIndex > newest.lastIndex, 'appends leave in ascending order of index')
    this.#flights.push(flight)
    this.#bytes += flight.bytes
  }

  /** The follower has confirmed everything up to `index`: all messages that end there or before are done, whichever reply said so. */
  freeTo(index: number): void {
    let done = 0
    for (const flight of this.#flights) {
      if (flight.lastIndex > index) break
      done += 1
      this.#bytes -= flight.bytes
    }
    if (done > 0) this.#flights = this.#flights.slice(done)
  }
}
