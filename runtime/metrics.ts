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

/** One number of one series as of now. Of a histogram: `_sum` and `_count`. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
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
    // Counted here and handed to the library when somebody fetches: it hashes labels at each step, which on each request is more than all of our own counting.
    const series = seriesOf(options.labels, (labels) => ({ labels, uncollected: 0 }))
    const counter: Counter = new Counter({
      name: options.name,
      help: options.help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        for (const one of series.all()) {
          counter.inc(one.labels, one.uncollected)
          one.uncollected = 0
        }
      },
    })
    return {
      add: (labels, amount = 1) => {
        assert(amount >= 0, 'a counter never falls')
        series.at(labels).uncollected += amount
      },
    }
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
    const series = seriesOf(options.labels, (labels) => histogram.labels(labels))
    return { observe: (labels, seconds) => series.at(labels).observe(seconds) }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** For whoever shows numbers in another form. */
  async read(): Promise<readonly Sample[]> {
    const metrics = await this.#registry.getMetricsAsJSON()
    return metrics.flatMap((metric) =>
      metric.values
        .map((one) => ({ name: sampleName(metric.name, one), labels: texts(one.labels), value: one.value }))
        .filter(({ name }) => !name.endsWith('_bucket')),
    )
  }

  /** The text that Prometheus reads. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }
}

/** The library says of a histogram's values which of its series they belong to, of others nothing. */
function sampleName(name: string, value: object): string {
  return 'metricName' in value && typeof value.metricName === 'string' ? value.metricName : name
}

function texts(labels: Partial<Record<string, string | number>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]))
}

interface Series<One> {
  all(): Iterable<One>
  at(labels: Readonly<Record<string, string>>): One
}

/** In one list, in the order of `combinations`: a key put together from the labels would have its hash computed anew at each step. */
function seriesOf<One>(lists: LabelLists, bind: (labels: Record<string, string>) => One): Series<One> {
  const bound = combinations(lists).map(bind)
  const places = Object.entries(lists).map(([name, values]) => ({
    name,
    count: values.length,
    at: new Map(values.map((value, at) => [value, at])),
  }))
  return {
    all: () => bound,
    at: (labels) => {
      let index = 0
      for (const { name, count, at } of places) index = index * count + (at.get(labels[name] ?? '') ?? NaN)
      const one = bound[index]
      assert(one !== undefined, 'a label value that is not in the closed list')
      return one
    },
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
