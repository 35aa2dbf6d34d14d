// What clients asked and were told, for the checkers. Time is a counter of what was written down: only the order counts.
import type { Operation, ReadAnswer } from './operation.ts'

export type Ending =
  /** A write was acknowledged (`done`: a compare-and-set may have done nothing), or a read was answered. */
  | { readonly kind: 'answered'; readonly at: number; readonly done: boolean; readonly values: ReadAnswer }
  /** It was refused for certain: it must never take effect. */
  | { readonly kind: 'refused' }
  /** It may take effect at any time after it began, or never. */
  | { readonly kind: 'unknown' }

export interface Record {
  readonly client: number
  readonly operation: Operation
  began: number
  ending: Ending
}

export class History {
  readonly records: Record[] = []
  #at = 0

  /** Unknown until it ends. */
  begin(client: number, operation: Operation): Record {
    const record: Record = { client, operation, began: this.tick(), ending: { kind: 'unknown' } }
    this.records.push(record)
    return record
  }

  tick(): number {
    this.#at += 1
    return this.#at
  }
}
