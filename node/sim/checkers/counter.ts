// Whether a counter's increments, each with an idempotency key and tried again until its outcome is known, took effect exactly once. PURE.
import type { Timed } from './linearizable.ts'

export type CounterOperation = { readonly kind: 'increment'; readonly by: number } | { readonly kind: 'read'; readonly value: number }

/** Undefined: nothing is wrong. Each read must lie between what was certainly done before it and what may have been done by its end, and reads never go back. */
export function counterProblem(history: readonly Timed<CounterOperation>[]): string | undefined {
  const increments = history.flatMap(({ operation, began, ended }) =>
    operation.kind === 'increment' ? [{ by: operation.by, began, ended }] : [],
  )
  const reads = history.flatMap(({ operation, began, ended }) =>
    operation.kind === 'read' ? [{ value: operation.value, began, ended }] : [],
  )
  for (const read of reads) {
    const least = sum(increments.filter(({ ended }) => ended < read.began))
    const most = sum(increments.filter(({ began }) => began < read.ended))
    if (read.value < least) return `a read shows ${read.value} when ${least} had been acknowledged`
    if (read.value > most) return `a read shows ${read.value} when only ${most} had been sent`
    const later = reads.find((other) => other.began > read.ended && other.value < read.value)
    if (later !== undefined) return `a read shows ${later.value} after another had shown ${read.value}`
  }
  return undefined
}

/** At the end, when the set of increments that took effect is known: exactly those, each once. */
export function finalCounterProblem(final: {
  readonly value: number
  readonly done: readonly { readonly by: number }[]
}): string | undefined {
  const expected = sum(final.done)
  return final.value === expected ? undefined : `the counter ends at ${final.value}, the increments that took effect make ${expected}`
}

function sum(increments: readonly { readonly by: number }[]): number {
  return increments.reduce((total, { by }) => total + by, 0)
}
