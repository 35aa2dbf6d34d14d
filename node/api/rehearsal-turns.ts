// Whose write is rehearsed next: first those of clients that have used little of it lately, so many together; of the others one.

interface InTurn {
  readonly write: { readonly client: string; readonly msLeft: () => number; readonly isAbandoned: () => boolean }
}

export interface Turn<Waiting> {
  /** Nobody waits for these any more. */
  readonly over: readonly Waiting[]
  readonly batch: readonly Waiting[]
  /** Of clients whose writes have not taken long lately. */
  readonly isQuick: boolean
}

/** Rehearsed on one copy. */
const batchMax = 16
/** Whoever has used so much of the rehearsals lately is served alone, and last. */
const usedMsMax = 100
const usedForgottenAfterMs = 10_000

export class RehearsalTurns<Waiting extends InTurn> {
  #waiting: Waiting[] = []
  readonly #used = new Map<string, number>()
  readonly #slow = new Set<string>()
  #usedSinceMs = 0
  readonly #quickMsMax: number

  /** `quickMsMax`: what takes longer is not quick. */
  constructor(quickMsMax: number) {
    this.#quickMsMax = quickMsMax
  }

  get count(): number {
    return this.#waiting.length
  }

  wait(one: Waiting): void {
    this.#waiting.push(one)
  }

  /** They have waited longest. */
  again(some: readonly Waiting[]): void {
    this.#waiting.unshift(...some)
  }

  take(): Turn<Waiting> {
    if (performance.now() - this.#usedSinceMs > usedForgottenAfterMs) {
      this.#used.clear()
      this.#slow.clear()
      this.#usedSinceMs = performance.now()
    }
    const used = ({ write }: Waiting): number => this.#used.get(write.client) ?? 0
    const over = this.#waiting.filter(({ write }) => write.isAbandoned() || write.msLeft() <= 0)
    const inTurn = this.#waiting.filter((one) => !over.includes(one)).sort((left, right) => used(left) - used(right))
    const light = inTurn.findIndex((one) => used(one) > usedMsMax)
    const count = Math.min(batchMax, light === -1 ? inTurn.length : Math.max(1, light))
    this.#waiting = inTurn.slice(count)
    const batch = inTurn.slice(0, count)
    return { over, batch, isQuick: !batch.some(({ write }) => this.#slow.has(write.client)) }
  }

  use(client: string, ms: number): void {
    this.#used.set(client, (this.#used.get(client) ?? 0) + ms)
    if (ms > this.#quickMsMax) this.#slow.add(client)
  }
}
