// What is said about seeds, for people and, between the processes of one run, as lines of JSON.
import { faultInWords } from './fault.ts'
import type { SeedVerdict } from './seed-run.ts'
import type { Shrunk } from './shrink.ts'

export interface SeedReport {
  readonly seed: number
  readonly events: number
  readonly traceHash: string
  readonly sometimes: readonly (readonly [string, number])[]
  readonly violation: { readonly rule: string; readonly message: string } | undefined
  /** The shortest list of faults that still fails, in words, and the command that runs it. */
  readonly shortest: readonly string[]
}

export function reportOf(verdict: SeedVerdict, shrunk: Shrunk | undefined): SeedReport {
  const { seed, events, traceHash, sometimes, violation } = verdict
  const without = shrunk === undefined || shrunk.without.length === 0 ? '' : ` --without ${shrunk.without.join(',')}`
  const shortest =
    violation === undefined
      ? []
      : [...(shrunk?.faults ?? verdict.faults).map(faultInWords), `npm run sim -- --seed ${seed} --trace${without}`]
  return { seed, events, traceHash, sometimes, violation, shortest }
}

export function failureInWords({ seed, violation, shortest }: SeedReport): string {
  return [`seed ${seed} fails: ${violation?.message ?? ''}`, ...shortest.map((line) => `    ${line}`)].join('\n')
}

export function parseReport(line: string): SeedReport | undefined {
  return line.startsWith('{"seed"') ? (JSON.parse(line) as SeedReport) : undefined // written by our own child
}
