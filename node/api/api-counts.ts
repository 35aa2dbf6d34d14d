// What the API counts of statements and of what it sends to the leader: for /metrics, and under rqlite's names for /debug/vars.
import type { CountingMetric, Metrics } from '../../runtime/metrics.ts'

const purposes = ['execute', 'query', 'request'] as const
const forwardedPaths = ['/db/execute', '/db/query', '/db/request', '/db/load', '/db/backup', '/leader', '/remove', 'other'] as const
type ForwardedPath = (typeof forwardedPaths)[number]
/** `failed`: not sent, or sent and not answered. */
const ends = ['answered', 'failed'] as const

export class ApiCounts {
  readonly #statements: CountingMetric<{ readonly purpose: typeof purposes }>
  readonly #forwarded: CountingMetric<{ readonly endpoint: typeof forwardedPaths; readonly outcome: typeof ends }>

  constructor(metrics: Metrics) {
    this.#statements = metrics.counter({
      name: 'securesql_statements_received_total',
      help: 'Statements in requests of clients, whatever became of them.',
      labels: { purpose: purposes },
    })
    this.#forwarded = metrics.counter({
      name: 'securesql_requests_forwarded_total',
      help: 'Requests that were sent on to the leader. `failed`: not sent, or no answer came.',
      labels: { endpoint: forwardedPaths, outcome: ends },
    })
  }

  statements(purpose: (typeof purposes)[number], count: number): void {
    this.#statements.add({ purpose }, count)
  }

  forwarded(path: string, outcome: (typeof ends)[number]): void {
    this.#forwarded.add({ endpoint: isKnown(path) ? path : 'other', outcome })
  }
}

function isKnown(path: string): path is ForwardedPath {
  return (forwardedPaths as readonly string[]).includes(path)
}
