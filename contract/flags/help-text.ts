// `-help`, from the table: Go's layout, in groups.
import { nodeFlags } from '../node-flags.ts'
import type { Flag } from './flag.ts'
import { flagGroups } from './flag.ts'

const head = `Usage: securesql-node [flags] DATA_DIR

One member of a SecureSQL cluster: Raft log, SQLite, HTTPS API. DATA_DIR holds everything it keeps.
Flags are written -name value, -name=value or --name; booleans take a value only after =.
`

/** Ends with a newline. Flags that come later are listed by name alone; options that are gone are not. */
export function helpText(): string {
  const working = [...nodeFlags].filter(([, flag]) => flag.status === 'now')
  const later = [...nodeFlags].filter(([, flag]) => flag.status === 'later').map(([name]) => `-${name}`)
  const groups = flagGroups.flatMap((group) => {
    const rows = working.filter(([, flag]) => flag.group === group)
    return rows.length === 0 ? [] : [`\n${group}\n`, ...rows.map(([name, flag]) => flagLines(name, flag))]
  })
  return [head, ...groups, `\nNot supported yet (refused): ${later.join(', ')}\n`].join('')
}

function flagLines(name: string, flag: Flag): string {
  const kind = flag.kind === 'bool' ? '' : ` ${flag.kind}`
  const preset = flag.default === '' || flag.kind === 'bool' ? '' : ` (default ${flag.default})`
  return `  -${name}${kind}\n      ${flag.help}${preset}\n`
}
