// One client that reads at level linearizable while nodes die, and compares: a read must show every write that was acknowledged before the read began
// (never older), and nothing that an earlier read of its own showed may be gone (never back in time).
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from './api-client.ts'
import { resultsOf } from './api-client.ts'
import type { WriteHistory } from './write-history.ts'

export interface ReadReport {
  /** Reads that were answered with rows. */
  readonly answered: number
  /** Reads refused or lost: allowed while nodes die. */
  readonly unanswered: number
  readonly faults: readonly string[]
}

export interface ReadCheckerOptions {
  readonly clients: () => readonly ApiClient[]
  readonly history: WriteHistory
  readonly random: () => number
  readonly isStopped: () => boolean
}

const pauseMs = 10

/** The highest number of each writer: an index look-up each, however large the table is. */
function highestPerWriter(writers: number): string {
  const columns = Array.from({ length: writers }, (_, writer) => `(SELECT max(n) FROM writes WHERE writer = ${writer})`)
  return `SELECT ${columns.join(', ')}`
}

/** Reads until it is stopped. */
export async function keepReading(options: ReadCheckerOptions): Promise<ReadReport> {
  const faults: string[] = []
  let answered = 0
  let unanswered = 0
  let seen: readonly number[] = options.history.acknowledgedLast().map(() => 0)
  const body = [highestPerWriter(options.history.writers)]
  while (!options.isStopped()) {
    const floor = options.history.acknowledgedLast()
    const clients = options.clients()
    const client = clients[Math.floor(options.random() * clients.length)]
    const answer = await client?.send({ path: '/db/query?level=linearizable', body })
    const row = answer?.kind === 'reply' ? resultsOf(answer)?.results[0]?.values?.[0] : undefined
    if (row === undefined) {
      unanswered += 1
      await delay(pauseMs)
      continue
    }
    answered += 1
    const highest = row.map((value) => Number(value ?? 0))
    faults.push(...compare(highest, floor, 'acknowledged before the read began'), ...compare(highest, seen, 'shown by an earlier read'))
    seen = highest
    await delay(pauseMs)
  }
  return { answered, unanswered, faults }
}

/** One sentence for each writer whose highest number is below the floor. */
export function compare(highest: readonly number[], floor: readonly number[], what: string): readonly string[] {
  return floor.flatMap((least, writer) => {
    const got = highest[writer] ?? 0
    return got < least ? [`a linearizable read showed ${got} as the last of writer ${writer}, but ${least} was ${what}`] : []
  })
}
