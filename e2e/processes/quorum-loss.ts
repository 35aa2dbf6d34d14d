// `--quorum-loss-seconds N`: the followers are away for so long. The leader that is left refuses every write with a code as soon as it knows, and its memory stays
// flat; when the others come back, service returns by itself, and nothing that was refused is there.
import { convergedRows } from './checks.ts'
import type { Check } from './checks.ts'
import { ClusterOfProcesses } from './cluster-of-processes.ts'
import { resultsOf } from './api-client.ts'
import type { ApiAnswer } from './api-client.ts'
import type { WriteOf } from './write-history.ts'
import { residentBytes } from './memory-of-processes.ts'
import { makeTables } from './random-faults.ts'
import { waitUntil } from '../apiserver/wait-until.ts'

const writers = 64
const growthBytesMax = 64 * 1024 * 1024
// They only end what hangs: the machine may be loaded.
const serviceDeadlineMs = 180_000
const answerMsMax = 120_000
// The heap fills up to where the collector begins to work; growth is counted from there.
const settleMs = 5_000

export async function runQuorumLoss(options: {
  readonly seconds: number
  readonly say: (line: string) => void
}): Promise<readonly Check[]> {
  const { say } = options
  const cluster = await ClusterOfProcesses.start({ nodes: 3 })
  const stop = new AbortController()
  try {
    await makeTables(cluster)
    const survivor = await cluster.whoLeads()
    const others = cluster.nodes.filter((node) => node !== survivor)
    const client = cluster.client(survivor, undefined, { connectionsMax: writers })
    for (const node of others) await node.end('SIGKILL')
    const answers = new WritesWithoutQuorum()
    const writing = Array.from({ length: writers }, async (_, writer) => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const { isKnown } = answers
        const answer = await client.send({
          path: '/db/execute?timeout=1s',
          body: [['INSERT INTO writes(writer, n) VALUES(?, ?)', writer, n]],
          timeoutMs: answerMsMax,
        })
        answers.add({ writer, n }, answer, { wasKnown: isKnown })
      }
    })
    const measured: number[] = []
    const endMs = performance.now() + options.seconds * 1000
    const settledMs = performance.now() + Math.min(settleMs, (options.seconds * 1000) / 3)
    // However long the leader takes to miss its followers on a busy machine: the time without a leader is what this is about.
    while (performance.now() < endMs || (!answers.isKnown && performance.now() < endMs + serviceDeadlineMs)) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      const bytes = survivor.pid === undefined ? undefined : residentBytes(survivor.pid)
      if (bytes === undefined) throw new Error(`${survivor.id} ended`)
      if (performance.now() > settledMs) measured.push(bytes)
    }
    stop.abort()
    await Promise.all(writing)
    for (const node of others) node.start()
    const startedMs = performance.now()
    let again = 0
    await waitUntil({ what: 'a write is acknowledged again', deadlineMs: serviceDeadlineMs, everyMs: 20 }, async () => {
      again += 1
      const answer = await client.send({ path: '/db/execute', body: [['INSERT INTO writes(writer, n) VALUES(99, ?)', again]] })
      return answer.kind === 'reply' && resultsOf(answer)?.results[0]?.rows_affected === 1 ? true : undefined
    })
    const rows = await convergedRows(cluster.nodes.map((node) => cluster.client(node)))
    const growth = Math.max(...measured) - (measured[0] ?? 0)
    const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0)
    say(`without a quorum for ${options.seconds} s: ${answers.summary()}`)
    say(
      `memory ${megabytes(measured[0] ?? 0)} MB to ${megabytes(Math.max(...measured))} MB; served again ${((performance.now() - startedMs) / 1000).toFixed(1)} s after the others' start`,
    )
    return [
      { title: 'every write without a quorum is refused with 503 and a code, once the leader knows', faults: answers.faults() },
      { title: 'no write that was refused is in a database, and no other twice', faults: rows.flatMap((list) => answers.faultsOf(list)) },
      {
        title: 'memory stays flat without a quorum',
        isFigure: true,
        faults: growth <= growthBytesMax ? [] : [`grew by ${megabytes(growth)} MB`],
      },
    ]
  } catch (error) {
    say(cluster.logTails())
    throw error
  } finally {
    // Whoever still writes would never be done.
    stop.abort()
    await cluster.close()
  }
}

const keyOf = ({ writer, n }: WriteOf): string => `${writer}/${n}`

/**
 * What was answered. Until the leader has missed its followers for an election timeout it takes writes, and whether those will be committed is truly not known
 * (`outcome_unknown`); a write that was sent after the first `leader_unknown` can only be refused.
 */
class WritesWithoutQuorum {
  readonly #times = new Map<string, number>()
  readonly #refused = new Set<string>()
  readonly #faults = new Map<string, number>()
  /** Somebody has been told that there is no leader. */
  isKnown = false

  add(write: WriteOf, answer: ApiAnswer, { wasKnown }: { readonly wasKnown: boolean }): void {
    const what = answer.kind === 'reply' ? `${answer.status} ${answer.code ?? ''}` : answer.kind
    this.#times.set(what, (this.#times.get(what) ?? 0) + 1)
    if (/^503 [a-z_]+$/.test(what)) this.#refused.add(keyOf(write))
    else if (what !== '200 outcome_unknown' || wasKnown) this.#faults.set(what, (this.#faults.get(what) ?? 0) + 1)
    if (what === '503 leader_unknown') this.isKnown = true
  }

  summary(): string {
    return Array.from(this.#times, ([what, times]) => `${what}: ${times}`).join(', ')
  }

  faults(): readonly string[] {
    return this.isKnown ? Array.from(this.#faults, ([what, times]) => `${what}: ${times}`) : ['the leader never knew']
  }

  /** Rows of one node that should not be there. */
  faultsOf(rows: readonly WriteOf[]): readonly string[] {
    const seen = new Set<string>()
    return rows.flatMap((row) => {
      const key = keyOf(row)
      const isTwice = seen.has(key)
      seen.add(key)
      return this.#refused.has(key) ? [`${key} was refused`] : isTwice ? [`${key} is there twice`] : []
    })
  }
}
