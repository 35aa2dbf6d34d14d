// Processes that run seeds for another: whoever is done with one is given the next, since one seed may take a hundred times as long as another. A worker reads numbers
// of seeds from its standard input, one a line, and writes reports to its standard output.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { parseReport, type SeedReport } from './seed-report.ts'

/** Given ahead, so that no worker waits for its next one. */
const aheadMax = 2

/** Between two reports of a worker. The slowest seed takes some ten seconds, one that is made short some minutes: beyond it, it is in an endless loop. */
const seedMsMax = 600_000

interface WorkerOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly take: (report: SeedReport) => void
  /** What a worker says beside its reports. */
  readonly say: (line: string) => void
}

export async function runOnWorkers(seeds: readonly number[], options: WorkerOptions & { readonly jobs: number }): Promise<void> {
  const left = seeds.toReversed()
  await Promise.all(Array.from({ length: Math.min(options.jobs, seeds.length) }, () => runWorker(() => left.pop(), options)))
}

function runWorker(next: () => number | undefined, { command, args, take, say }: WorkerOptions): Promise<void> {
  const worker = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  // That it has ended is told by `close`.
  worker.stdin.on('error', () => {})
  const underWay = new Set<number>()
  const give = (): void => {
    const seed = next()
    if (seed === undefined) return void worker.stdin.end()
    underWay.add(seed)
    worker.stdin.write(`${seed}\n`)
  }
  for (let ahead = 0; ahead < aheadMax; ahead += 1) give()
  createInterface({ input: worker.stdout }).on('line', (line) => {
    const report = parseReport(line)
    if (report === undefined) return say(line)
    hung.refresh()
    underWay.delete(report.seed)
    take(report)
    give()
  })
  const hung = setTimeout(() => worker.kill('SIGKILL'), seedMsMax)
  return new Promise((resolve, reject) => {
    worker.on('close', (code, signal) => {
      clearTimeout(hung)
      if (code === 0) return resolve()
      const seeds = Array.from(underWay).join(', ')
      reject(
        new Error(
          `a process of the simulator ended with ${code ?? `${String(signal)}, perhaps by us after ${seedMsMax / 1000} s`}; the first of these seeds: ${seeds}`,
        ),
      )
    })
  })
}

/** In the worker: the seeds that it is given, until there are no more. */
export async function* givenSeeds(input: Readable): AsyncGenerator<number> {
  for await (const line of createInterface({ input })) yield Number(line)
}
