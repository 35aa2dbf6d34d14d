// Waiting for a condition of another process, with a deadline: the one way in which the suites wait.
import { setTimeout as delay } from 'node:timers/promises'

export interface WaitOptions {
  /** What is waited for, for the error message. */
  readonly what: string
  readonly deadlineMs: number
  readonly everyMs?: number
}

/** Asks `probe` until it gives something else than undefined, and gives that. Throws when the deadline passes. */
export async function waitUntil<Value>(options: WaitOptions, probe: () => Promise<Value | undefined>): Promise<Value> {
  const endMs = performance.now() + options.deadlineMs
  for (;;) {
    const value = await probe()
    if (value !== undefined) return value
    if (performance.now() > endMs) throw new Error(`${options.what}: not seen within ${options.deadlineMs / 1000} s`)
    await delay(options.everyMs ?? 250)
  }
}
