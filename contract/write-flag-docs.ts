// `node contract/write-flag-docs.ts`: brings docs/flags.md up to date.
import { writeFileSync } from 'node:fs'
import { flagDocs } from './flags/flag-docs.ts'

writeFileSync(new URL('../docs/flags.md', import.meta.url), flagDocs())
