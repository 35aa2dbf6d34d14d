import type { Clock } from '../replica/clock.ts'

/** Waiting by a clock that tests and simulations can move. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve))
}
