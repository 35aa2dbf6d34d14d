// For the contract tests, which run on real disks and sockets too: waits for a condition with a generous deadline instead of sleeping for luck.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

// It only ends what hangs: the machine may be loaded.
const deadlineMs = 120_000

export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const startedAtMs = performance.now()
  while (!condition()) {
    assert(performance.now() - startedAtMs < deadlineMs, `not within ${deadlineMs} ms: ${what}`)
    await delay(2)
  }
}

/** For what must not happen: long enough for it to have happened, were it possible. */
export async function meanwhile(): Promise<void> {
  await delay(150)
}
