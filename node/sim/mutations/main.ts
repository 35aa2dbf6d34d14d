// `npm run sim:mutations [-- --only 12,34] [--jobs J]`: puts every known mistake back, one at a time, and sees whether it is found. Writes the table of docs/simulation.md.
// The exit code is 0 only when all that were run are found.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { inapplicable, mutations } from './catalogue.ts'
import { rowOf, rowOfInapplicable, withTable, type TableRow } from './mutation-table.ts'
import { runMutation } from './run-mutation.ts'

const { values } = parseArgs({ options: { only: { type: 'string' }, jobs: { type: 'string', default: '2' } } })
const only = values.only === undefined ? undefined : new Set(values.only.split(',').map(Number))
const due = mutations.filter(({ hazard }) => only === undefined || only.has(hazard))
const rows: TableRow[] = inapplicable.map(rowOfInapplicable)
let caught = 0
let next = 0

await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, () => work()))
const path = new URL('../../../docs/simulation.md', import.meta.url)
const known = new Set([...mutations, ...inapplicable].map(({ hazard, text }) => `${hazard} ${text}`))
writeFileSync(path, withTable(readFileSync(path, 'utf8'), rows, known))
console.log(`${inapplicable.length} do not apply`)
console.log(`${caught} passed, ${due.length - caught} failed`)
console.log(`mutations ${due.length}, found ${caught}`)
process.exitCode = caught === due.length ? 0 : 1

async function work(): Promise<void> {
  for (let mutation = due[next]; mutation !== undefined; mutation = due[next]) {
    next += 1
    const beganAtMs = performance.now()
    const verdict = await runMutation(mutation)
    if (verdict.kind === 'caught') caught += 1
    const seconds = ((performance.now() - beganAtMs) / 1000).toFixed(1)
    const said = verdict.kind === 'caught' ? `caught by ${verdict.by}` : verdict.kind === 'unfit' ? `UNFIT ${verdict.why}` : 'SURVIVED'
    console.log(`${mutation.hazard} ${mutation.text}: ${said} (${seconds} s)`)
    rows.push(rowOf(mutation, verdict))
  }
}
