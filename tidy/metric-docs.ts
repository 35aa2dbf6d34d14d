// docs/metrics.md, read off the places where metrics are made: the help text in the code is the documentation.
import type { SourceFile } from './source-file.ts'

interface Metric {
  readonly name: string
  readonly kind: string
  readonly labels: readonly string[]
  readonly help: string
  readonly path: string
}

const made =
  /\.(counter|gauge|timing)\(\{\s*name: ['`](securesql_[\w${}]+)['`],\s*help:\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`$]*`),([^;]*?)\}\)[;,]?[ \t]*(?:\n|$)/g

/** A room may give its gauges a prefix by a function of its own: `gauge('term', 'Current term.', …)` beside a template for the name. */
const prefixed = /\.gauge\(\{ name: `(securesql_\w+)\$\{name\}`, help, read \}\)/
const shortCall = /\bgauge\('(\w+)',\s*('(?:[^'\\]|\\.)*'|"[^"]*")/g

function prefixedGauges({ path, text }: SourceFile): readonly Metric[] {
  const prefix = prefixed.exec(text)?.[1]
  if (prefix === undefined) return []
  return [...text.matchAll(shortCall)].map(([, name = '', help = '']) => ({
    name: `${prefix}${name}`,
    kind: 'gauge',
    labels: [],
    help: help.slice(1, -1),
    path,
  }))
}

/** Metrics of the whole tree, by name. A name that is made in a way this does not understand is missing here; `unreadMetrics` finds it. */
function metricsOf(files: readonly SourceFile[]): readonly Metric[] {
  return sources(files)
    .flatMap(({ path, text }) => [
      ...prefixedGauges({ path, text }),
      ...[...text.matchAll(made)].map(([, kind = '', name = '', help = '', rest = '']) => ({
        // A name put together from parts: `securesql_${part}_…`.
        name: name.replaceAll(/\$\{(\w+)\}/g, '<$1>'),
        kind: kind === 'timing' ? 'histogram' : kind,
        labels: labelsIn(rest),
        help: help.slice(1, -1).replaceAll(/\\(.)/g, '$1').replaceAll('|', '\\|'),
        path,
      })),
    ])
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function labelsIn(rest: string): readonly string[] {
  const list = /labels: \{(.*)/s.exec(rest)?.[1] ?? ''
  const inside = list.split(/\bread:|\bbucketSeconds:/, 1)[0] ?? ''
  return [...inside.matchAll(/(?:^|,)\s*(\w+)\s*[:,}]/g)].map((match) => match[1] ?? '')
}

function sources(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter(({ path }) => /^(node|runtime|operator)\/.*\.ts$/.test(path) && !path.endsWith('.test.ts'))
}

/** Names in the code that the document would miss. */
export function unreadMetrics(files: readonly SourceFile[]): readonly string[] {
  const read = new Set(metricsOf(files).map(({ name }) => name))
  return sources(files).flatMap(({ path, text }) =>
    [...text.replace(prefixed, '').matchAll(/name: ['`](securesql_[\w${}]+)/g)]
      .filter((match) => !read.has((match[1] ?? '').replaceAll(/\$\{(\w+)\}/g, '<$1>')))
      .map((match) => `${path}: ${match[1]} is not documented`),
  )
}

/** Ends with a newline. */
export function metricDocs(files: readonly SourceFile[]): string {
  const rows = metricsOf(files).map(
    ({ name, kind, labels, help }) => `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |\n`,
  )
  return `# Metrics

<!-- Written by \`node tidy/write-metric-docs.ts\` from the code. Change the help text there, not this file. -->

\`GET /metrics\` on a node's API port (permission \`status\`); \`securesql_operator_…\` come from the operator. Prometheus' text format. Names begin with \`securesql_\`, units are base units, label values come from closed lists and stand at 0 from the start:
a rate of something that has never happened is 0, not "no data". Of a histogram Prometheus sees \`_bucket\`, \`_sum\` and \`_count\`.

| metric | kind | labels | meaning |
|---|---|---|---|
${rows.join('')}`
}
