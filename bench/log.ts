// `node bench/log.ts [directory] [rounds]`: does it pay to write zeros where frames are going to stand? One writer, and three processes at once as the members of a local
// cluster are; 4 KiB and 64 KiB a frame. `extending`: no. `in-steps`: 1 MiB ahead, in the sync of the frame that needs it (what node/store does). `whole`: the segment at
// once, before the clock runs. In turns, in another order each round. Prints every run as JSON, and the medians of the ratios to `extending` of the same round.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'

const segmentBytes = 64 * 1024 * 1024
const prepareBytes = 1024 * 1024
const durationMs = 1000

const modes = ['extending', 'in-steps', 'whole'] as const
type Mode = (typeof modes)[number]

interface Measured {
  readonly round: number
  readonly frameBytes: number
  readonly writers: number
  readonly mode: Mode
  readonly runs: readonly Run[]
}

interface Run {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** In a process of its own: makes the file, says so, waits for the word, writes for a second. */
function prepare(path: string, mode: Mode, frameBytes: number): () => Run {
  const descriptor = openSync(path, 'w')
  if (mode === 'whole') {
    const zeros = Buffer.alloc(1 << 20)
    for (let at = 0; at < segmentBytes; at += zeros.length) writeSync(descriptor, zeros, 0, zeros.length, at)
  }
  fdatasyncSync(descriptor)
  return () => {
    const frame = Buffer.alloc(frameBytes, 7)
    const tookMs: number[] = []
    const startedAtMs = performance.now()
    const zeros = Buffer.alloc(prepareBytes)
    let preparedTo = mode === 'in-steps' ? 0 : Infinity
    let now = startedAtMs
    // A full segment ends the run: what its successor costs is told apart from what a write costs.
    for (let at = 0; now - startedAtMs < durationMs && at + frameBytes <= segmentBytes; at += frameBytes) {
      writeSync(descriptor, frame, 0, frameBytes, at)
      if (at + frameBytes > preparedTo) {
        writeSync(descriptor, zeros, 0, zeros.length, at + frameBytes)
        preparedTo = at + frameBytes + zeros.length
      }
      fdatasyncSync(descriptor)
      const after = performance.now()
      tookMs.push(after - now)
      now = after
    }
    closeSync(descriptor)
    rmSync(path)
    tookMs.sort((a, b) => a - b)
    const quantile = (share: number): number => Number((tookMs[Math.floor((tookMs.length - 1) * share)] ?? 0).toFixed(3))
    return { perSecond: Math.round((tookMs.length * 1000) / (now - startedAtMs)), p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
  }
}

async function answer(child: ChildProcess): Promise<unknown> {
  const [message]: readonly unknown[] = await once(child, 'message')
  return message
}

async function measure(directory: string, mode: Mode, frameBytes: number, writers: number): Promise<readonly Run[]> {
  const children = Array.from({ length: writers }, (_, at) =>
    fork(import.meta.filename, ['writer', join(directory, `segment-${at}`), mode, String(frameBytes)]),
  )
  try {
    await Promise.all(children.map(answer))
    const runs = children.map(answer)
    for (const child of children) child.send('go')
    return (await Promise.all(runs)) as readonly Run[]
  } finally {
    for (const child of children) child.kill()
  }
}

async function main(directory: string, rounds: number): Promise<void> {
  const results: Measured[] = []
  for (let round = 0; round < rounds; round += 1) {
    for (const frameBytes of [4096, 65_536]) {
      for (const writers of [1, 3]) {
        const order = modes.map((_, at) => modes[(at + round) % modes.length] ?? 'extending')
        for (const mode of order)
          results.push({ round, frameBytes, writers, mode, runs: await measure(directory, mode, frameBytes, writers) })
      }
    }
  }
  const perSecond = (frameBytes: number, writers: number, mode: Mode): readonly number[] =>
    results
      .filter((one) => one.frameBytes === frameBytes && one.writers === writers && one.mode === mode)
      .map(({ runs }) => runs.reduce((sum, run) => sum + run.perSecond, 0) / runs.length)
  const medians = [4096, 65_536].flatMap((frameBytes) =>
    [1, 3].map((writers) => {
      const extending = perSecond(frameBytes, writers, 'extending')
      const ratiosTo = (mode: Mode): readonly number[] =>
        perSecond(frameBytes, writers, mode).map((value, round) => Number((value / (extending[round] ?? 0)).toFixed(2)))
      return {
        frameBytes,
        writers,
        perSecond: Object.fromEntries(modes.map((mode) => [mode, Math.round(median(perSecond(frameBytes, writers, mode)))])),
        ratios: Object.fromEntries(modes.slice(1).map((mode) => [mode, { median: median(ratiosTo(mode)), all: ratiosTo(mode) }])),
      }
    }),
  )
  console.log(
    JSON.stringify(
      { date: new Date().toISOString(), loadAverage: loadavg(), segmentBytes, prepareBytes, durationMs, rounds, medians, results },
      undefined,
      1,
    ),
  )
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

const [first, path, mode, frameBytes] = process.argv.slice(2)
if (first === 'writer') {
  const run = prepare(path ?? '', modes.find((one) => one === mode) ?? 'extending', Number(frameBytes))
  process.once('message', () => process.send?.(run()))
  process.send?.('ready')
} else {
  const directory = mkdtempSync(join(first ?? tmpdir(), 'bench-log-'))
  try {
    await main(directory, Number(path ?? 7))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
