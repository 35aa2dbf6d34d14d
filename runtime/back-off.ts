// Exponential back-off, for whoever tries again.

export interface BackOff {
  readonly firstMs: number
  readonly maxMs: number
}

/** The delay before attempt `failures + 1`: doubles from `firstMs` up to `maxMs`. For who storms nobody: few ask, or each asks something else. */
export function backOffMs({ firstMs, maxMs }: BackOff, failures: number): number {
  // 2^30 times the first delay is far beyond any maximum; more would overflow.
  return Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
}

/** Between half and all of that: after an outage those who wait for the same server would otherwise come back in step. `random` gives [0, 1). */
export function jitteredBackOffMs(backOff: BackOff, failures: number, random: () => number): number {
  const full = backOffMs(backOff, failures)
  return full / 2 + (full / 2) * random()
}
