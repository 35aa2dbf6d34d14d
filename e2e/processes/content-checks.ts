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
    check: z.object({ index: z.number(), result: z.string(), reason: z.string(), faults: z.array(z.string()), hash: z.string() }),
  }),
})

export interface ContentChecked {
  /** Nodes that were found to be wrong, over all rounds. */
  readonly mended: number
  readonly rounds: number
}

// A node that is wrong is found in the first round and looked at again in the next; more are needed where a leader changes in the middle.
const deadlineMs = 180_000
const roundMsMax = 60_000

/** Rejects when that does not come about. */
export async function untilDatabasesAgree(clients: readonly ApiClient[]): Promise<ContentChecked> {
  let mended = 0
  for (let rounds = 1, endMs = performance.now() + deadlineMs; performance.now() < endMs; rounds += 1) {
    const index = await begin(clients)
    const seen = await checked(clients, index)
    mended += seen.filter((result) => result === 'differs').length
    if (seen.every((result) => result === 'agrees')) return { mended, rounds }
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

/** How it ended on each node; `differs` too where the node is a member again by then. A node whose check was forgotten (it has restarted) is `none`. */
async function checked(clients: readonly ApiClient[], index: number): Promise<readonly string[]> {
  const ends = clients.map((): string | undefined => undefined)
  for (const endMs = performance.now() + roundMsMax; performance.now() < endMs; await delay(200)) {
    for (const [at, client] of clients.entries()) {
      const answer = await client.send({ path: '/status', timeoutMs: 5_000 })
      if (answer.kind !== 'reply' || answer.status !== 200) continue
      const { standing, check } = status.parse(JSON.parse(answer.body)).store
      if (standing === 'diverged') ends[at] = 'differs'
      else if (ends[at] === undefined && check.index === index && ['agrees', 'differs', 'unclear', 'failed'].includes(check.result))
        ends[at] = check.result
      // Rebuilt before anybody looked.
      else if (ends[at] === undefined && check.index === 0 && check.result === 'none') ends[at] = 'differs'
    }
    if (ends.every((end) => end !== undefined)) break
  }
  return ends.map((end) => end ?? 'none')
}
