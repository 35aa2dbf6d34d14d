// Metrics of a long-running program, for Prometheus to fetch. An own registry, never prom-client's global one: two nodes in one process must not mix.
// Label values come from closed lists, and every combination stands at 0 from the start: a rate of something that never happened is 0, not "no data",
// and no client can grow the memory by inventing label values.
import { strict as assert } from 'node:assert'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type LabelLists = Readonly<Record<string, readonly string[]>>
export type LabelValues<Lists extends LabelLists> = { readonly [Name in keyof Lists]: Lists[Name][number] }

export interface CountingMetric<Lists extends LabelLists> {
  add(labels: LabelValues<Lists>, amount?: number): void
}

export interface TimingMetric<Lists extends LabelLists> {
  observe(labels: LabelValues<Lists>, seconds: number): void
}

interface Naming {
  /** With the prefix `securesql_`, base units and a suffix such as `_total`, `_seconds` or `_bytes`. */
  readonly name: string
  readonly help: string
}

// Series of one metric: enough for every pair of closed lists that we have, far below what hurts a Prometheus.
const seriesMax = 512

export class Metrics {
  readonly #registry = new Registry()

  counter<const Lists extends LabelLists>(options: Naming & { readonly labels: Lists }): CountingMetric<Lists> {
    checkName(options.name)
    assert(options.name.endsWith('_total'), 'a counter ends in _total')
    const labelNames = Object.keys(options.labels)
    const counter = new Counter({ name: options.name, help: options.help, labelNames, registers: [this.#registry] })
    for (const labels of combinations(options.labels)) counter.inc(labels, 0)
    return { add: (labels, amount = 1) => counter.inc({ ...labels }, amount) }
  }

  /** `read` is called when somebody fetches; it must be cheap. */
  gauge(options: Naming & { readonly read: () => number }): void {
    checkName(options.name)
    const gauge: Gauge = new Gauge({
      name: options.name,
      help: options.help,
      registers: [this.#registry],
      collect: () => gauge.set(options.read()),
    })
  }

  /** `bucketSeconds`: upper bounds in ascending order. */
  timing<const Lists extends LabelLists>(
    options: Naming & { readonly labels: Lists; readonly bucketSeconds: readonly number[] },
  ): TimingMetric<Lists> {
    checkName(options.name)
    assert(options.name.endsWith('_seconds'), 'a timing ends in _seconds')
    const histogram = new Histogram({
      name: options.name,
      help: options.help,
      labelNames: Object.keys(options.labels),
      buckets: [...options.bucketSeconds],
      registers: [this.#registry],
    })
    for (const labels of combinations(options.labels)) histogram.zero(labels)
    return { observe: (labels, seconds) => histogram.observe({ ...labels }, seconds) }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text that Prometheus reads. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }
}

function checkName(name: string): void {
  assert.match(name, /^securesql_[a-z][a-z0-9_]*$/)
}

function combinations(lists: LabelLists): Record<string, string>[] {
  let found: Record<string, string>[] = [{}]
  for (const [name, values] of Object.entries(lists)) {
    found = found.flatMap((labels) => values.map((value) => ({ ...labels, [name]: value })))
  }
  assert(found.length <= seriesMax, `${found.length} series in one metric`)
  return found
}
