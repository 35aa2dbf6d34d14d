// What it costs a client that one of its reads had to be ended. To end a process and start another takes as much of the processor as many a read; a client that can have only few
// processes, and sometimes none, leaves enough of it that nobody else notices. Each such read counts for as long as it took: whoever sends one slow query a minute is hardly held up.

/** In milliseconds. */
export interface EndedReadCosts {
  /** No process: for as long as the read took. */
  readonly none: Limits
  /** And then few of them: for three times as long. */
  readonly few: Limits
}

interface Limits {
  readonly min: number
  readonly max: number
}

const usual: EndedReadCosts = { none: { min: 0, max: 1_000 }, few: { min: 2_000, max: 10_000 } }
const fewFactor = 3

export class EndedReads {
  readonly #costs: EndedReadCosts
  readonly #last = new Map<string | undefined, { readonly noneUntilMs: number; readonly fewUntilMs: number }>()

  constructor(costs: EndedReadCosts = usual) {
    this.#costs = costs
  }

  note(client: string | undefined, tookMs: number): void {
    const noneUntilMs = performance.now() + within(this.#costs.none, tookMs)
    const fewUntilMs = noneUntilMs + within(this.#costs.few, fewFactor * tookMs)
    this.#last.set(client, { noneUntilMs, fewUntilMs: Math.max(fewUntilMs, this.#last.get(client)?.fewUntilMs ?? 0) })
  }

  /** How many processes the client may have now. */
  allows(client: string | undefined): 'none' | 'few' | 'many' {
    const last = this.#last.get(client)
    const now = performance.now()
    if (last === undefined || now >= last.fewUntilMs) return 'many'
    return now < last.noneUntilMs ? 'none' : 'few'
  }
}

function within({ min, max }: Limits, ms: number): number {
  return Math.max(min, Math.min(max, ms))
}
