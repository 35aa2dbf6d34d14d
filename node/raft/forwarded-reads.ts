// A follower's reads: it asks its leader for a read index and serves them itself (thesis §6.4). One request carries all reads of a step.
import type { Outbox } from './outbox.ts'
import type { RefusalCode } from './raft-port.ts'

export class ForwardedReads {
  readonly #out: Outbox
  readonly #ticksMax: number
  #waiting: number[] = []
  readonly #asked = new Map<number, { readonly ids: readonly number[]; readonly askedAtTick: number }>()
  #nextRequest: number

  /** `firstRequest` differs between lives, so that an answer to a request of an earlier life (with an older index) answers none of this one. */
  constructor(options: { readonly out: Outbox; readonly ticksMax: number; readonly firstRequest: number }) {
    this.#out = options.out
    this.#ticksMax = options.ticksMax
    this.#nextRequest = options.firstRequest
  }

  add(id: number): void {
    this.#waiting.push(id)
  }

  /** A number that no other request of this life has. */
  newRequest(): number {
    const request = this.#nextRequest
    this.#nextRequest += 1
    return request
  }

  /** Sends what has gathered. */
  flush(now: number, ask: (request: number) => void): void {
    if (this.#waiting.length === 0) return
    const request = this.newRequest()
    this.#asked.set(request, { ids: this.#waiting, askedAtTick: now })
    this.#waiting = []
    ask(request)
  }

  answered(request: number, answer: { readonly index: number } | { readonly refused: RefusalCode }): void {
    const asked = this.#asked.get(request)
    if (asked === undefined) return
    this.#asked.delete(request)
    for (const id of asked.ids) {
      if ('index' in answer) this.#out.read(id, answer.index)
      else this.#out.refuse(id, answer.refused)
    }
  }

  /** The question or the answer may be lost: after an election timeout the reader is told. */
  expire(now: number): void {
    for (const [request, asked] of this.#asked) {
      if (now - asked.askedAtTick >= this.#ticksMax) this.answered(request, { refused: 'leader_unknown' })
    }
  }

  /** Another leader or none: the old one's answers are no longer waited for. */
  refuseAll(code: RefusalCode): void {
    for (const request of Array.from(this.#asked.keys())) this.answered(request, { refused: code })
    for (const id of this.#waiting) this.#out.refuse(id, code)
    this.#waiting = []
  }
}
