// Every flag of the node program: one table for the parser (runtime/flags.ts), `-help`, docs/flags.md and the operator's rendering of a pod's arguments.
// Names, defaults and meaning are rqlite's, so that its users' scripts go on working. What is not built yet stands here too, as `later`.
import type { Flag, FlagRow, FlagStatus } from './flags/flag.ts'
import { goneFlags } from './flags/gone-flags.ts'
import { laterFlags } from './flags/later-flags.ts'
import { workingFlags } from './flags/working-flags.ts'

function withStatus(status: FlagStatus, rows: Readonly<Record<string, FlagRow>>): [string, Flag][] {
  return Object.entries(rows).map(([name, row]) => [name, { ...row, status }])
}

/** By name without the dash, in the order in which help and documentation show them within a group. */
export const nodeFlags: ReadonlyMap<string, Flag> = new Map([
  ...withStatus('now', workingFlags),
  ...withStatus('later', laterFlags),
  ...withStatus('gone', goneFlags),
])
