// `npm run sim -- --seeds N [--from S] [--jobs J] [--verbose] [--seed X [--trace]]`
import { runSeed, rejected } from './seed-run.ts'

process.on('unhandledRejection', rejected)
const seeds = Number(process.argv[2] ?? 10)
const from = Number(process.argv[3] ?? 1)
const began = performance.now()
let events = 0
let bad = 0
for (let seed = from; seed < from + seeds; seed += 1) {
  const verdict = await runSeed({ seed, ...(process.argv[4] === 'trace' ? { write: (line: string) => console.log(line) } : {}) })
  events += verdict.events
  if (verdict.violation !== undefined) {
    bad += 1
    console.log(`seed ${seed}: ${verdict.violation.message}`)
  }
}
const seconds = (performance.now() - began) / 1000
console.log(`${seeds} seeds, ${bad} bad, ${events} events, ${(events / seconds).toFixed(0)} events/s, ${(seeds / seconds).toFixed(2)} seeds/s`)
