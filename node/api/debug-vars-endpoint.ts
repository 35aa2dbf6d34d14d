// GET /debug/vars: rqlite's counters under rqlite's names, in the form of Go's expvar (one map a line), and everything of /metrics. Each number is one that this node
// truly counts; a map in which it counts nothing is there and empty, for whoever looks it up. What Go adds by itself (command line, memory statistics) is not: an
// argument may be a secret.
import type { Sample } from '../../runtime/metrics.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply } from './exchange.ts'
import { rqliteMaps } from './rqlite-counters.ts'
import type { Counted } from './rqlite-counters.ts'

export function debugVarsEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/debug/vars',
    methods: ['GET'],
    permissions: ['status'],
    forwardable: false,
    alwaysServed: true,
    handle: async (request) => jsonReply(render(mapsOf(await parts.metrics.read()), request.parameters.text('key')?.trim() ?? '')),
  }
}

type Maps = ReadonlyMap<string, ReadonlyMap<string, number>>

function mapsOf(samples: readonly Sample[]): Maps {
  const rqlites = Object.entries(rqliteMaps).map(
    ([name, counters]) => [name, new Map(Object.entries(counters).map(([key, counted]) => [key, sum(samples, counted)]))] as const,
  )
  const ours = new Map(samples.map(({ name, labels, value }) => [seriesName(name, labels), value]))
  return new Map([...rqlites, ['securesql', ours] as const])
}

function sum(samples: readonly Sample[], counted: Counted): number {
  return samples
    .filter(
      ({ name, labels }) =>
        name === counted.metric && Object.entries(counted.where).every(([label, of]) => of.includes(labels[label] ?? '')),
    )
    .reduce((total, { value }) => total + value, 0)
}

/** As Prometheus writes it. */
function seriesName(name: string, labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`
}

/** `key`: the name of a map, or of one counter as `map.counter`; what is unknown is an empty object, as in rqlite. */
function render(maps: Maps, key: string): string {
  const lines: string[] = []
  for (const [name, counters] of maps) {
    if (key === '' || key === name) lines.push(`${JSON.stringify(name)}: ${mapJson(counters)}`)
    const one = key.startsWith(`${name}.`) ? counters.get(key.slice(name.length + 1)) : undefined
    if (one !== undefined) lines.push(`${JSON.stringify(key)}: ${one}`)
  }
  return `{\n${lines.join(',\n')}\n}\n`
}

function mapJson(counters: ReadonlyMap<string, number>): string {
  return `{${[...counters].map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(', ')}}`
}
