// `npm run sim:mutations [-- --only 12,34] [--missing] [--by seeds|test] [--jobs J]`: puts every known mistake back, one at a time, and sees whether it is found. Writes
// the table of docs/simulation.md as it goes; `--missing` leaves out what stands there as found. The exit code is 0 only when all that were run are found.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { inapplicable, mutations } from './catalogue.ts'
import type { Mutation } from './mutation.ts'
import { foundIn, keyOf, rowOf, rowOfInapplicable, withTable, type TableRow } from './mutation-table.ts'
import { runMutation } from './run-mutation.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    missing: { type: 'boolean', default: false },
    by: { type: 'string' },
    jobs: { type: 'string', default: '2' },
  },
})
const path = new URL('../../../docs/simulation.md', import.meta.url)
const only = values.only === undefined ? undefined : new Set(values.only.split(',').map(Number))
const found = values.missing ? foundIn(readFileSync(path, 'utf8')) : new Set<string>()
const due = mutations.filter(isDue)
let caught = 0
let next = 0

note(inapplicable.map(rowOfInapplicable))
await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, () => work()))
console.log(`${inapplicable.length} do not apply`)
console.log(`${caught} passed, ${due.length - caught} failed`)
console.log(`mutations ${due.length}, found ${caught}`)
process.exitCode = caught === due.length ? 0 : 1

function isDue(mutation: Mutation): boolean {
  const isMeant = only === undefined || only.has(mutation.hazard)
  return isMeant && !found.has(keyOf(mutation)) && (values.by === undefined || mutation.by.kind === values.by)
}

async function work(): Promise<void> {
  for (let mutation = due[next]; mutation !== undefined; mutation = due[next]) {
    next += 1
    const beganAtMs = performance.now()
    const verdict = await runMutation(mutation)
    if (verdict.kind === 'caught') caught += 1
    const seconds = ((performance.now() - beganAtMs) / 1000).toFixed(1)
    const said = verdict.kind === 'caught' ? `caught by ${verdict.by}` : verdict.kind === 'unfit' ? `UNFIT ${verdict.why}` : 'SURVIVED'
    console.log(`${mutation.hazard} ${mutation.text}: ${said} (${seconds} s)`)
    note([rowOf(mutation, verdict)])
  }
}

function note(rows: readonly TableRow[]): void {
  writeFileSync(path, withTable(readFileSync(path, 'utf8'), rows, new Set([...mutations, ...inapplicable].map(keyOf))))
}
