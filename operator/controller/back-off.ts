// Exponential back-off with jitter: after an outage, watches and queues of all operators would otherwise come back in step.

export interface BackOff {
  readonly firstMs: number
  readonly maxMs: number
}

/** The delay before attempt `failures + 1`: doubles from `firstMs` up to `maxMs`, then between half and all of that. `random` gives [0, 1). */
export function backOffMs(backOff: BackOff, failures: number, random: () => number): number {
  // 2^30 times the first delay is far beyond any maximum; more would overflow.
  const full = Math.min(backOff.maxMs, backOff.firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return full / 2 + (full / 2) * random()
}
