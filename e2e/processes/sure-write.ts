// Statements that may be carried out twice, sent until they have been carried out. On a busy machine an election may fall into any request, and leaves open what became of it.
import { waitUntil } from '../apiserver/wait-until.ts'
import type { ApiClient, Results } from './api-client.ts'
import { resultsOf } from './api-client.ts'

/** It only ends what hangs. */
const deadlineMs = 180_000

/** Rejects when one of them is refused for good. */
export function sureWrite(client: ApiClient, body: readonly unknown[]): Promise<Results> {
  return waitUntil({ what: `written: ${JSON.stringify(body).slice(0, 100)}`, deadlineMs, everyMs: 50 }, async () => {
    const answer = await client.send({ path: '/db/execute?timeout=100s', body, timeoutMs: 120_000 })
    if (answer.kind !== 'reply' || answer.status >= 500 || answer.code === 'outcome_unknown') return undefined
    const results = resultsOf(answer)
    if (results?.results.every(({ error }) => error === undefined) === true) return results
    throw new Error(`not written: ${answer.status} ${answer.body.slice(0, 300)}`)
  })
}
