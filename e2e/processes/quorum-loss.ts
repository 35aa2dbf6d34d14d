// `--quorum-loss-seconds N`: two of three nodes are away for so long. The one that is left refuses every write with a code, in time, and its memory stays flat; when
// the others come back, service returns by itself.
import type { Check } from './checks.ts'
import { ClusterOfProcesses } from './cluster-of-processes.ts'
import { resultsOf } from './api-client.ts'
import { residentBytes } from './memory-of-processes.ts'
import { makeTables } from './random-faults.ts'
import { waitUntil } from '../apiserver/wait-until.ts'

const writers = 64
const growthBytesMax = 64 * 1024 * 1024
const serviceDeadlineMs = 60_000
// The heap fills up to where the collector begins to work; growth is counted from there.
const settleMs = 5_000

export async function runQuorumLoss(options: {
  readonly seconds: number
  readonly say: (line: string) => void
}): Promise<readonly Check[]> {
  const { say } = options
  const cluster = await ClusterOfProcesses.start({ nodes: 3 })
  try {
    await makeTables(cluster)
    const [survivor, ...others] = cluster.nodes
    if (survivor === undefined) throw new Error('no node')
    const client = cluster.client(survivor, undefined, { connectionsMax: writers })
    for (const node of others) await node.end('SIGKILL')
    const answers = new Map<string, number>()
    const stop = new AbortController()
    const writing = Array.from({ length: writers }, async (_, writer) => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const answer = await client.send({
          path: '/db/execute?timeout=1s',
          body: [['INSERT INTO writes(writer, n) VALUES(?, ?)', writer, n]],
        })
        const what = answer.kind === 'reply' ? `${answer.status} ${answer.code ?? ''}` : answer.kind
        answers.set(what, (answers.get(what) ?? 0) + 1)
      }
    })
    const measured: number[] = []
    const endMs = performance.now() + options.seconds * 1000
    const settledMs = performance.now() + Math.min(settleMs, (options.seconds * 1000) / 3)
    while (performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      const bytes = survivor.pid === undefined ? undefined : residentBytes(survivor.pid)
      if (bytes === undefined) throw new Error(`${survivor.id} ended:\n${survivor.logTail()}`)
      if (performance.now() > settledMs) measured.push(bytes)
    }
    stop.abort()
    await Promise.all(writing)
    for (const node of others) node.start()
    const startedMs = performance.now()
    await waitUntil({ what: 'a write is acknowledged again', deadlineMs: serviceDeadlineMs, everyMs: 20 }, async () => {
      const answer = await client.send({ path: '/db/execute', body: [['INSERT INTO writes(writer, n) VALUES(99, 1)']] })
      return answer.kind === 'reply' && resultsOf(answer)?.results[0]?.rows_affected === 1 ? true : undefined
    })
    const growth = Math.max(...measured) - (measured[0] ?? 0)
    const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0)
    say(`without a quorum for ${options.seconds} s: ${Array.from(answers, ([what, times]) => `${what}: ${times}`).join(', ')}`)
    say(
      `memory ${megabytes(measured[0] ?? 0)} MB to ${megabytes(Math.max(...measured))} MB; served again ${((performance.now() - startedMs) / 1000).toFixed(1)} s after the others' start`,
    )
    // Sent to the leader of the moment before it knew: whether it will be committed is truly not known.
    const others503 = Array.from(answers.keys()).filter((what) => !/^503 [a-z_]+$/.test(what))
    return [
      {
        title: 'every write without a quorum is refused with 503 and a code',
        faults: others503.map((what) => `${what}: ${answers.get(what) ?? 0}`),
      },
      {
        title: 'memory stays flat without a quorum',
        isFigure: true,
        faults: growth <= growthBytesMax ? [] : [`grew by ${megabytes(growth)} MB`],
      },
    ]
  } finally {
    await cluster.close()
  }
}
