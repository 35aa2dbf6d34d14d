// Runs one mutation in a process of its own and says what has found it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { parseReport } from '../seed-report.ts'
import { unfit } from './apply-mutation.ts'
import type { Mutation } from './mutation.ts'

export type MutationVerdict =
  | { readonly kind: 'caught'; readonly by: string }
  | { readonly kind: 'survived' }
  | { readonly kind: 'unfit'; readonly why: string }

/**
 * A mutated program may run for ever: so long without a word, and it does. A seed takes a second at most, a test that makes what it has found short a minute, and a busy
 * machine is no finder of mistakes.
 */
const silenceMsMax = 300_000
const testMsMax = 240_000
const root = new URL('../../../', import.meta.url).pathname

export async function runMutation(mutation: Mutation): Promise<MutationVerdict> {
  const { file, find, replace, by } = mutation
  const hook = `import { applyMutation } from ${JSON.stringify(new URL('apply-mutation.ts', import.meta.url).href)}; applyMutation(${JSON.stringify({ file, find, replace })})`
  const base = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`]
  const program = by.kind === 'test' ? ['--test', `--test-timeout=${testMsMax}`, by.file] : ['node/sim/main.ts', '--worker', '--first']
  const seeds = by.kind === 'test' ? [] : Array.from({ length: by.budget }, (_, at) => at + 1)
  const ended = await run([...base, ...program], seeds.map((seed) => `${seed}\n`).join(''))
  const misfit = [...ended.lines, ...ended.errors.split('\n')].find((line) => line.includes(unfit))
  if (misfit !== undefined) return { kind: 'unfit', why: misfit.trim() }
  return by.kind === 'test' ? verdictOfTest(by.file, ended) : verdictOfSeeds(ended)
}

interface Ended {
  readonly code: number | null
  readonly isTooLong: boolean
  readonly lines: readonly string[]
  readonly errors: string
}

function verdictOfTest(file: string, { code, lines, isTooLong }: Ended): MutationVerdict {
  if (code === 0) return { kind: 'survived' }
  if (isTooLong) return { kind: 'caught', by: `\`${file}\`: does not end` }
  const failed = lines.find((line) => /^\s*(✖|not ok)/.test(line) && !line.includes('failing tests'))
  return { kind: 'caught', by: `\`${file}\`${failed === undefined ? '' : `: ${title(failed)}`}` }
}

function verdictOfSeeds({ code, errors, lines, isTooLong }: Ended): MutationVerdict {
  const reports = lines.map(parseReport).filter((report) => report !== undefined)
  const failing = reports.find((report) => report.violation !== undefined)
  const next = (reports.at(-1)?.seed ?? 0) + 1
  if (failing !== undefined) return { kind: 'caught', by: `seed ${failing.seed}: ${failing.violation?.rule ?? ''}` }
  if (isTooLong) return { kind: 'caught', by: `seed ${next}: does not end` }
  return code === 0
    ? { kind: 'survived' }
    : { kind: 'caught', by: `seed ${next}: the process ends (${errors.trim().split('\n').at(-1) ?? ''})` }
}

function title(line: string): string {
  return line
    .replace(/^\s*(✖|not ok \d+ -)\s*/, '')
    .replace(/\s*\([\d.]+ms\)$/, '')
    .replaceAll('|', '\\|')
}

/** `input`: what it reads. */
function run(args: readonly string[], input: string): Promise<Ended> {
  return new Promise((resolve) => {
    const program = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['pipe', 'pipe', 'pipe'],
      // Nothing is inherited: a runner of tests that runs this would change what the program does.
      env: {},
    })
    // It may end before it has read everything.
    program.stdin.on('error', () => {})
    program.stdin.end(input)
    const lines: string[] = []
    let errors = ''
    let isTooLong = false
    const end = (): void => {
      isTooLong = true
      program.kill('SIGKILL')
    }
    let limit = setTimeout(end, silenceMsMax)
    createInterface({ input: program.stdout }).on('line', (line) => {
      lines.push(line)
      clearTimeout(limit)
      limit = setTimeout(end, silenceMsMax)
    })
    program.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2000)))
    program.on('close', (code) => {
      clearTimeout(limit)
      resolve({ code, isTooLong, lines, errors })
    })
  })
}
