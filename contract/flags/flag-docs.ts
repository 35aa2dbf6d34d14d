// docs/flags.md, from the table. A test compares the file with this text.
import { nodeFlags } from '../node-flags.ts'
import { flagGroups } from './flag.ts'
import type { Flag, FlagStatus } from './flag.ts'

const head = `# Flags of the node

<!-- Written by \`node contract/write-flag-docs.ts\` from contract/node-flags.ts. Change the table, not this file. -->

\`npx securesql-node [flags] DATA_DIR\`

Flags are written \`-name value\`, \`-name=value\` or \`--name\`; booleans take a value only after \`=\`. Of a repeated flag the last one wins. Exactly one data
directory follows the flags. Durations are written as in Go (\`1m30s\`, \`50ms\`), addresses as \`host:port\`. An unknown flag, a value that does not parse, or flags that
contradict each other end the program with exit code 1 before any file is touched.
`

/** Ends with a newline. */
export function flagDocs(): string {
  const groups = flagGroups.flatMap((group) => {
    const rows = rowsOf('now', group)
    return rows.length === 0 ? [] : [`\n## ${group}\n\n| flag | kind | default | meaning |\n|---|---|---|---|\n`, ...rows.map(workingRow)]
  })
  return [
    head,
    ...groups,
    '\n## Not supported yet\n\nThese are refused by name when they are given: a backup that never runs is worse than a node that does not start.\n\n| flag | kind | meaning in rqlite | instead, or why not |\n|---|---|---|---|\n',
    ...rowsOf('later').map(([name, flag]) => `| \`-${name}\` | ${flag.kind} | ${flag.help} | ${flag.why ?? ''} |\n`),
    '\n## Gone\n\nOptions of older rqlite versions, refused with what replaced them.\n\n| flag | instead |\n|---|---|\n',
    ...rowsOf('gone').map(([name, flag]) => `| \`-${name}\` | ${flag.help} |\n`),
  ].join('')
}

function rowsOf(status: FlagStatus, group?: string): readonly (readonly [string, Flag])[] {
  return [...nodeFlags].filter(([, flag]) => flag.status === status && (group === undefined || flag.group === group))
}

function workingRow([name, flag]: readonly [string, Flag]): string {
  const preset = flag.default === '' ? '' : `\`${flag.default}\``
  return `| \`-${name}\` | ${flag.kind} | ${preset} | ${flag.help} |\n`
}
