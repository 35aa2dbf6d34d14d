// What must hold when the nemesis has finished. Each check is one sentence and the faults it found.
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from './api-client.ts'
import { resultsOf } from './api-client.ts'
import type { WriteOf } from './write-history.ts'

export interface Check {
  readonly title: string
  readonly faults: readonly string[]
  /** A figure of time or memory: judged only when asked for (`--judge-figures`), on a machine that has nothing else to do; else it is said and does not fail. */
  readonly isFigure?: true
}

/** All rows, as this node has them, without asking any other. Undefined: no answer. */
export async function localRows(client: ApiClient): Promise<readonly WriteOf[] | undefined> {
  const answer = await client.send({
    path: '/db/query?level=none',
    body: ['SELECT writer, n FROM writes ORDER BY writer, n'],
    timeoutMs: 60_000,
  })
  const result = answer.kind === 'reply' ? resultsOf(answer)?.results[0] : undefined
  return result?.columns === undefined ? undefined : (result.values ?? []).map(([writer, n]) => ({ writer: Number(writer), n: Number(n) }))
}

const convergenceDeadlineMs = 180_000

/** Waits until every node shows the same rows by itself; at the deadline it gives what each shows then, and the checks tell how they differ. */
export async function convergedRows(clients: readonly ApiClient[]): Promise<readonly (readonly WriteOf[])[]> {
  const endMs = performance.now() + convergenceDeadlineMs
  for (;;) {
    const rows = await Promise.all(clients.map((client) => localRows(client)))
    const texts = new Set(rows.map((list) => JSON.stringify(list)))
    const isEqual = texts.size === 1 && rows[0] !== undefined
    if (isEqual || performance.now() > endMs) return rows.map((list) => list ?? [])
    await delay(200)
  }
}
