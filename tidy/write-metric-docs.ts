// `node tidy/write-metric-docs.ts`: brings docs/metrics.md up to date.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metricDocs } from './metric-docs.ts'
import { readTree } from './source-file.ts'

const root = join(import.meta.dirname, '..')
writeFileSync(join(root, 'docs', 'metrics.md'), metricDocs(readTree(root)))
