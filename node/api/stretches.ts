// The work of one request on the thread that sends heartbeats, cut into stretches of the event loop; large ones take turns (large-turns.ts).
import assert from 'node:assert/strict'
import type { Steps } from '../command/steps.ts'
import type { ApiParts } from './api-parts.ts'
import { clientOf, msLeft, type ApiRequest } from './exchange.ts'
import { smallBytesMax, turnBytesMax } from './large-turns.ts'

/** So long one body is read and judged until others have their turn. */
const stretchMsMax = 20

/** Between them everybody else has theirs. */
export class Stretches {
  readonly #parts: ApiParts
  readonly #request: ApiRequest
  #isSmall = true
  #isToFinish = false
  /** Undefined: it begins when it is first asked about. */
  #untilMs: number | undefined

  constructor(parts: ApiParts, request: ApiRequest) {
    this.#parts = parts
    this.#request = request
  }

  /** `late`: nobody waits for the answer any more. */
  begin(bytes: number): Promise<'late' | 'on'> | 'on' {
    if (bytes <= smallBytesMax) return 'on'
    this.#isSmall = false
    const turn = this.#parts.largeTurns.next(clientOf(this.#request.identity), bytes, () => this.#isLate())
    this.#untilMs = performance.now() + stretchMsMax
    return turn === undefined ? 'on' : this.#whenLetGo(turn)
  }

  /** Behind an await, in which others may have had a long stretch: a small one is not charged with it. */
  goOn(): void {
    if (this.#isSmall) this.#untilMs = undefined
  }

  isOver(): boolean {
    const nowMs = performance.now()
    this.#untilMs ??= nowMs + stretchMsMax
    return nowMs > this.#untilMs
  }

  next(): Promise<'late' | 'on'> | 'on' {
    return this.begin(turnBytesMax)
  }

  async carryOut<Value>(steps: Steps<Value>): Promise<Value | 'late'> {
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
      if (this.isOver() && (await this.next()) === 'late') return 'late'
    }
  }

  /** What was carried out is answered, whoever waits for it. */
  async finish<Value>(steps: Steps<Value>): Promise<Value> {
    this.#isToFinish = true
    const value = await this.carryOut(steps)
    assert(value !== 'late', 'what is to be finished is never late')
    return value
  }

  async #whenLetGo(turn: Promise<void>): Promise<'late' | 'on'> {
    await turn
    this.#untilMs = performance.now() + stretchMsMax
    return this.#isLate() ? 'late' : 'on'
  }

  #isLate(): boolean {
    return !this.#isToFinish && (this.#request.isAbandoned() || msLeft(this.#request) === 0)
  }
}
