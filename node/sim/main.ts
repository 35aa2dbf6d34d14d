// `npm run sim`: many seeds on several processes, or one seed to look at. A run of many begins with every seed that ever failed (regression-seeds.json).
// The last line is `seeds N, violations V`; the exit code is 0 only when V is 0 and everything that must have happened sometimes did.
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { failureInWords, reportOf, type SeedReport } from './seed-report.ts'
import { rejected, runSeed } from './seed-run.ts'
import { givenSeeds, runOnWorkers } from './seed-workers.ts'
import { shrink } from './shrink.ts'
import { parseSimArguments, usage, type SimArguments } from './sim-arguments.ts'
import { tooRare } from './sometimes-expected.ts'
import { Sometimes } from './sometimes.ts'

/** Failures that are made short in one run: each costs as much as dozens of seeds. */
const shrunkMax = 3

/** Of a worker: most of what a seed makes is soon garbage, and is looked through less often in a larger heap. */
const youngHeap = '--max-semi-space-size=32'

process.on('unhandledRejection', rejected)
process.on('uncaughtException', rejected)

const parsed = parseSimArguments(process.argv.slice(2))
if (!parsed.ok) {
  console.error(`${parsed.problem}\n${usage}`)
  process.exit(2)
}
const options = parsed.value
if (options.seed !== undefined) await lookAtOne(options.seed, options)
else if (options.isWorker) await work(givenSeeds(process.stdin), options, (report) => console.log(JSON.stringify(report)))
else await runMany(options)

async function lookAtOne(seed: number, { isTraced, without }: SimArguments): Promise<void> {
  const verdict = await runSeed({ seed, without: new Set(without), ...(isTraced ? { write: (line: string) => console.log(line) } : {}) })
  if (verdict.violation !== undefined)
    console.log(failureInWords(reportOf(verdict, without.length > 0 ? undefined : await shrink(verdict))))
  console.log(`${verdict.events} events, ${verdict.operations} operations, trace ${verdict.traceHash}`)
  finish({ seeds: 1, violations: verdict.violation === undefined ? 0 : 1, rare: [] })
}

/** One after the other. */
async function work(
  seeds: Iterable<number> | AsyncIterable<number>,
  { stopsAtFirst }: SimArguments,
  tell: (report: SeedReport) => void,
): Promise<void> {
  let shrunk = 0
  for await (const seed of seeds) {
    const verdict = await runSeed({ seed })
    const isShrunk = verdict.violation !== undefined && !stopsAtFirst && shrunk < shrunkMax
    if (isShrunk) shrunk += 1
    tell(reportOf(verdict, isShrunk ? await shrink(verdict) : undefined))
    if (stopsAtFirst && verdict.violation !== undefined) return
  }
}

async function runMany(options: SimArguments): Promise<void> {
  const from = options.from ?? randomInt(2 ** 31)
  const beganAtMs = performance.now()
  const sometimes = new Sometimes()
  let seeds = 0
  let events = 0
  let violations = 0
  const take = (report: SeedReport): void => {
    seeds += 1
    events += report.events
    sometimes.add(report.sometimes)
    if (report.violation === undefined) return
    violations += 1
    console.log(failureInWords(report))
  }
  const known = options.stopsAtFirst ? [] : regressionSeeds()
  console.log(`${known.length} seeds that once failed, then seeds ${from} to ${from + options.seeds - 1} on ${options.jobs} processes`)
  await work(known, options, take)
  // The last line counts those that were asked for.
  seeds = 0
  const fresh = Array.from({ length: options.seeds }, (_, at) => from + at)
  const args = [...process.execArgv, youngHeap, import.meta.filename, '--worker', ...(options.stopsAtFirst ? ['--first'] : [])]
  if (options.jobs <= 1) await work(fresh, options, take)
  else await runOnWorkers(fresh, { jobs: options.jobs, command: process.execPath, args, take, say: (line) => console.log(line) })
  const seconds = (performance.now() - beganAtMs) / 1000
  if (options.isVerbose)
    for (const [what, times] of Array.from(sometimes.counts).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      console.log(`${String(times).padStart(9)} ${what}`)
  console.log(
    `${events} events, ${(events / seconds).toFixed(0)} events/s, ${(seeds / seconds).toFixed(2)} seeds/s, ${seconds.toFixed(1)} s`,
  )
  finish({ seeds, violations, rare: options.stopsAtFirst ? [] : tooRare(sometimes.counts, options.seeds) })
}

function finish({
  seeds,
  violations,
  rare,
}: {
  readonly seeds: number
  readonly violations: number
  readonly rare: readonly string[]
}): void {
  for (const problem of rare) console.log(problem)
  console.log(`${Math.max(0, seeds - violations)} passed, ${violations + rare.length} failed`)
  console.log(`seeds ${seeds}, violations ${violations}`)
  process.exitCode = violations + rare.length === 0 ? 0 : 1
}

function regressionSeeds(): readonly number[] {
  const text = readFileSync(new URL('regression-seeds.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly seed: number }[]).map(({ seed }) => seed) // our own file
}
