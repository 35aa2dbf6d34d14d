// `npm run fuzz:sql -- --statements N [--seed S] [--verbose]`: statements of SQLite's grammar, on three replicas. The last line is `N passed, N failed`: one check for each
// entry that came out alike everywhere; the seed is printed first. The exit code is 0 only when nothing differed, nothing got out, and most statements ran.
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { FuzzRun } from './fuzz-run.ts'
import { HangWatch } from './hang-watch.ts'

/** In percent: a run in which fewer statements succeed proves little. */
const succeededMin = 60

/** A group of entries takes some milliseconds; a busy machine may stand still for long. */
const hangsAfterMs = 240_000

const { values } = parseArgs({
  options: { statements: { type: 'string', default: '5000' }, seed: { type: 'string' }, verbose: { type: 'boolean', default: false } },
})
const statements = Number(values.statements)
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
if (!Number.isSafeInteger(statements) || statements < 1 || !Number.isSafeInteger(seed)) {
  console.error('npm run fuzz:sql -- --statements N [--seed S] [--verbose]')
  process.exit(2)
}

console.log(`seed ${seed}`)
const beganAtMs = performance.now()
const watch = await HangWatch.start({ msMax: hangsAfterMs })
const run = new FuzzRun(seed, (what) => watch.begin(what))
// Of a thread's message or a timer: the run that is under way ends with it, and says where.
process.on('uncaughtException', (error) => run.broke(error))
const { tally, failure } = await run.run(statements)
await watch.close()
const share = Math.round((100 * tally.succeeded) / Math.max(1, tally.statements))
if (values.verbose) for (const [message, count] of tally.failures) console.log(`${String(count).padStart(7)} ${message}`)
if (failure !== undefined)
  console.log(`${failure.kind.toUpperCase()}: ${failure.message}\nagain: npm run fuzz:sql -- --statements ${statements} --seed ${seed}`)
const seconds = Math.round((performance.now() - beganAtMs) / 1000)
console.log(
  `${tally.statements} statements, ${share} % succeeded, ${tally.refusedByGate} refused by the gate, ${tally.entries} entries, three replicas, ${seconds} s`,
)
const isThin = share < succeededMin
if (isThin) console.log(`too few succeeded: ${share} % of at least ${succeededMin} %`)
const failed = (failure === undefined ? 0 : 1) + (isThin ? 1 : 0)
console.log(`${tally.entries - (failure === undefined ? 0 : 1)} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
