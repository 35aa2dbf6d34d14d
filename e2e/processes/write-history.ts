// What a writer sent and what it heard: the history that the checks at the end judge by.

/** Writers are numbered from 0; each writes 1, 2, 3 … in order, the next one only after the fate of the one before was heard or given up. */
export interface WriteOf {
  readonly writer: number
  readonly n: number
}

export class WriteHistory {
  /** By writer: how far it was sent. */
  readonly #sent: number[]
  /** By writer: numbers that the cluster acknowledged. */
  readonly #acknowledged: Set<number>[]
  /** By writer: the highest acknowledged number. */
  readonly #acknowledgedLast: number[]
  /** By writer: numbers certainly never applied. */
  readonly #refused: Set<number>[]

  constructor(writers: number) {
    this.#sent = Array.from({ length: writers }, () => 0)
    this.#acknowledged = Array.from({ length: writers }, () => new Set<number>())
    this.#acknowledgedLast = Array.from({ length: writers }, () => 0)
    this.#refused = Array.from({ length: writers }, () => new Set<number>())
  }

  get writers(): number {
    return this.#sent.length
  }

  begin(writer: number): WriteOf {
    const n = (this.#sent[writer] ?? 0) + 1
    this.#sent[writer] = n
    return { writer, n }
  }

  acknowledge({ writer, n }: WriteOf): void {
    this.#acknowledged[writer]?.add(n)
    this.#acknowledgedLast[writer] = n
  }

  /** Given up although certainly not applied: it must not appear. */
  refuse({ writer, n }: WriteOf): void {
    this.#refused[writer]?.add(n)
  }

  /** A copy: what every linearizable read that begins now must at least see. */
  acknowledgedLast(): readonly number[] {
    return [...this.#acknowledgedLast]
  }

  counts(): { readonly sent: number; readonly acknowledged: number; readonly refused: number; readonly unknown: number } {
    const sent = this.#sent.reduce((total, n) => total + n, 0)
    const acknowledged = this.#acknowledged.reduce((total, set) => total + set.size, 0)
    const refused = this.#refused.reduce((total, set) => total + set.size, 0)
    return { sent, acknowledged, refused, unknown: sent - acknowledged - refused }
  }

  /** One sentence for each acknowledged write that is missing, each row that was never sent or was refused, and each row that is there twice. At most `limit`. */
  faults(rows: readonly WriteOf[], limit = 20): readonly string[] {
    const faults: string[] = []
    const present = this.#sent.map(() => new Set<number>())
    for (const { writer, n } of rows) {
      const seen = present[writer]
      if (seen === undefined || !Number.isInteger(n) || n < 1 || n > (this.#sent[writer] ?? 0))
        faults.push(`writer ${writer} never sent ${n}, but it is there`)
      else if (seen.has(n)) faults.push(`writer ${writer} sent ${n} once, but it is there twice`)
      else if (this.#refused[writer]?.has(n) === true) faults.push(`writer ${writer} was refused ${n}, but it is there`)
      seen?.add(n)
    }
    for (const [writer, acknowledged] of this.#acknowledged.entries()) {
      for (const n of acknowledged)
        if (present[writer]?.has(n) !== true) faults.push(`writer ${writer}'s ${n} was acknowledged and is lost`)
    }
    return faults.slice(0, limit)
  }
}
