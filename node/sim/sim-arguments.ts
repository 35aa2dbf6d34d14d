// The command line of the simulator, parsed once.
import { parseArgs } from 'node:util'
import { fail, ok, type Result } from '../../runtime/result.ts'

export interface SimArguments {
  readonly seeds: number
  /** The first of them; undefined: a fresh one. */
  readonly from: number | undefined
  readonly jobs: number
  /** One seed instead of many. */
  readonly seed: number | undefined
  readonly isTraced: boolean
  readonly isVerbose: boolean
  /** Only with `seed`: faults that are left out. */
  readonly without: readonly number[]
  /** Stop at the first violation, and without making it short: for the mutations. */
  readonly stopsAtFirst: boolean
  /** See seed-workers.ts. */
  readonly isWorker: boolean
}

export const usage = 'npm run sim -- --seeds N [--from S] [--jobs J] [--verbose] | --seed X [--trace] [--without 1,2,3]'

export function parseSimArguments(argv: readonly string[]): Result<SimArguments, string> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seeds: { type: 'string' },
        from: { type: 'string' },
        jobs: { type: 'string' },
        seed: { type: 'string' },
        trace: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        without: { type: 'string' },
        first: { type: 'boolean', default: false },
        worker: { type: 'boolean', default: false },
      },
    })
    return ok({
      seeds: whole(values.seeds) ?? 100,
      from: whole(values.from),
      jobs: whole(values.jobs) ?? 2,
      seed: whole(values.seed),
      isTraced: values.trace,
      isVerbose: values.verbose,
      without: values.without === undefined ? [] : values.without.split(',').map((text) => whole(text) ?? 0),
      stopsAtFirst: values.first,
      isWorker: values.worker,
    })
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

function whole(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a whole number: ${text}`)
  return value
}
