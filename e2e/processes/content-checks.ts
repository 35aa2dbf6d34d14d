// Has the cluster look for what its disks have changed (POST /check), until every node has been read through and holds what most hold. What was flipped in a file that nobody has
// read since is found by nothing else.
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { waitUntil } from '../apiserver/wait-until.ts'
import type { ApiClient } from './api-client.ts'

const begun = z.object({ index: z.number() })
const status = z.object({
  store: z.object({
    standing: z.string(),
    db_applied_index: z.number(),
    check: z.object({ index: z.number(), latest_index: z.number(), result: z.string() }),
  }),
})

export interface ContentChecked {
  /** Nodes that were found to be wrong, each once. */
  readonly mended: number
  readonly rounds: number
}

// A node that is wrong is found in the first round and looked at again in the next; more are needed where a leader changes in the middle.
const deadlineMs = 400_000
const roundMsMax = 120_000

/** Rejects when that does not come about. */
export async function untilDatabasesAgree(clients: readonly ApiClient[]): Promise<ContentChecked> {
  const wrong = new Set<number>()
  for (let rounds = 1, endMs = performance.now() + deadlineMs; performance.now() < endMs; rounds += 1) {
    const index = await begin(clients)
    const seen = await checked(clients, index)
    for (const [at, result] of seen.entries()) if (result === 'differs') wrong.add(at)
    if (seen.every((result) => result === 'agrees')) return { mended: wrong.size, rounds }
  }
  throw new Error(`the databases do not agree within ${deadlineMs / 1000} s`)
}

function begin(clients: readonly ApiClient[]): Promise<number> {
  return waitUntil({ what: 'a check begins', deadlineMs: roundMsMax }, async () => {
    for (const client of clients) {
      const answer = await client.send({ method: 'POST', path: '/check' })
      if (answer.kind === 'reply' && answer.status === 200) return begun.parse(JSON.parse(answer.body)).index
    }
    return undefined
  })
}

/** How it ended on each node. `differs` too where the node has been rebuilt by then, `missed` where a snapshot has taken it past the check, `none` where nothing came of it. */
async function checked(clients: readonly ApiClient[], index: number): Promise<readonly string[]> {
  const ends = clients.map((): string | undefined => undefined)
  for (const endMs = performance.now() + roundMsMax; performance.now() < endMs; await delay(200)) {
    for (const [at, client] of clients.entries()) {
      const answer = ends[at] === undefined ? await client.send({ path: '/status', timeoutMs: 5_000 }) : undefined
      if (answer?.kind !== 'reply' || answer.status !== 200) continue
      ends[at] = endOf(status.parse(JSON.parse(answer.body)).store, index)
    }
    if (ends.every((end) => end !== undefined)) break
  }
  return ends.map((end) => end ?? 'none')
}

function endOf({ standing, db_applied_index, check }: z.infer<typeof status>['store'], index: number): string | undefined {
  if (standing === 'diverged') return 'differs'
  if (check.index === index) return ['agrees', 'differs', 'unclear', 'failed'].includes(check.result) ? check.result : undefined
  if (check.latest_index >= index) return 'differs'
  return db_applied_index >= index ? 'missed' : undefined
}
