// `node bench/log.ts [directory] [rounds]`: does it pay to write a segment full of zeros before it is used? One writer, and three processes at once as the members of a local cluster are; 4 KiB and 64 KiB a
// frame; extending and preallocated in turns, the order changing from round to round. Prints every run as JSON, and the medians of the pairs' ratios.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const segmentBytes = 64 * 1024 * 1024
const durationMs = 1000

type Mode = 'extending' | 'preallocated'

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
  if (mode === 'preallocated') {
    const zeros = Buffer.alloc(1 << 20)
    for (let at = 0; at < segmentBytes; at += zeros.length) writeSync(descriptor, zeros, 0, zeros.length, at)
  }
  fdatasyncSync(descriptor)
  return () => {
    const frame = Buffer.alloc(frameBytes, 7)
    const tookMs: number[] = []
    const startedAtMs = performance.now()
    let now = startedAtMs
    // A full segment ends the run: what its successor costs is told apart from what a write costs.
    for (let at = 0; now - startedAtMs < durationMs && at + frameBytes <= segmentBytes; at += frameBytes) {
      writeSync(descriptor, frame, 0, frameBytes, at)
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
        const modes: readonly Mode[] = round % 2 === 0 ? ['extending', 'preallocated'] : ['preallocated', 'extending']
        for (const mode of modes)
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
      const preallocated = perSecond(frameBytes, writers, 'preallocated')
      const ratios = preallocated.map((value, round) => value / (extending[round] ?? 0))
      return {
        frameBytes,
        writers,
        extending: Math.round(median(extending)),
        preallocated: Math.round(median(preallocated)),
        ratio: Number(median(ratios).toFixed(2)),
        ratioMin: Number(Math.min(...ratios).toFixed(2)),
        ratioMax: Number(Math.max(...ratios).toFixed(2)),
      }
    }),
  )
  console.log(JSON.stringify({ segmentBytes, durationMs, rounds, medians, results }, undefined, 1))
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

const [first, path, mode, frameBytes] = process.argv.slice(2)
if (first === 'writer') {
  const run = prepare(path ?? '', mode === 'preallocated' ? 'preallocated' : 'extending', Number(frameBytes))
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
