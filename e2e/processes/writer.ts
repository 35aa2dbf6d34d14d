// One client that writes numbers in order and never claims to know more than it heard. It sends a number again only when it was certainly not applied.
import { setTimeout as delay } from 'node:timers/promises'
import type { RefusalCode } from '../../contract/refusal.ts'
import type { ApiAnswer, ApiClient } from './api-client.ts'
import { resultsOf } from './api-client.ts'
import type { WriteHistory } from './write-history.ts'

// The node says with these that nothing was appended to the log (docs/errors.md).
const certainlyNotApplied: ReadonlySet<string> = new Set<RefusalCode>([
  'leader_unknown',
  'not_ready',
  'overloaded',
  'forward_failed',
  'state_diverged',
  'deadline',
  'request_timeout',
])

export type Fate = 'acknowledged' | 'not-applied' | 'unknown'

/** A reply that fits none of these is a fault of the node, told by an exception. */
export function fateOf(answer: ApiAnswer): Fate {
  if (answer.kind === 'unreachable') return 'not-applied'
  if (answer.kind === 'lost') return 'unknown'
  if (answer.code !== undefined) {
    if (certainlyNotApplied.has(answer.code)) return 'not-applied'
    // With status 200, so that nobody sends it again without thinking.
    if (answer.code === 'outcome_unknown') return 'unknown'
  }
  const result = resultsOf(answer)?.results[0]
  if (result?.rows_affected === 1) return 'acknowledged'
  throw new Error(`a write was answered with ${answer.status} ${answer.code ?? ''} ${answer.body.slice(0, 300)}`)
}

export interface WriterOptions {
  readonly writer: number
  readonly clients: () => readonly ApiClient[]
  readonly history: WriteHistory
  readonly random: () => number
  readonly isStopped: () => boolean
}

// Long enough not to spin while there is no leader, short against an election.
const retryPauseMs = 20

/** Writes until it is stopped. */
export async function keepWriting(options: WriterOptions): Promise<void> {
  while (!options.isStopped()) {
    const write = options.history.begin(options.writer)
    const body = [['INSERT INTO writes(writer, n) VALUES(?, ?)', write.writer, write.n]]
    const fate = await sendUntilDecided(options, body)
    if (fate === 'acknowledged') options.history.acknowledge(write)
    if (fate === 'not-applied') options.history.refuse(write)
  }
}

async function sendUntilDecided(options: WriterOptions, body: unknown): Promise<Fate> {
  for (;;) {
    const clients = options.clients()
    const client = clients[Math.floor(options.random() * clients.length)]
    if (client === undefined) throw new Error('a writer needs a client')
    const fate = fateOf(await client.send({ path: '/db/execute', body }))
    if (fate !== 'not-applied' || options.isStopped()) return fate
    await delay(retryPauseMs)
  }
}
