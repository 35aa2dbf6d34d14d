// Node's own test runner, watched. It gives each test its time but no file: one that something keeps alive behind its last test (a timer, a child process, a test that was given up) it waits
// for without end and without a word. Told to end by SIGTERM it names the files that still run.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { identityOf, isAlive } from '../operator/local/process-identity.ts'
import type { ProcessIdentity } from '../operator/local/process-identity.ts'

export interface NodeRunnerOptions {
  /** Behind `node --test`. */
  readonly arguments: readonly string[]
  readonly directory?: string
  readonly environment: NodeJS.ProcessEnv
  /** More than one test may take: where no line has come for so long, something hangs. */
  readonly silentMsMax: number
  /** Each line of its standard output; printed by us when absent. */
  readonly take?: (line: string) => void
}

/** From SIGTERM to SIGKILL: what a test file has started it ends meanwhile. */
const graceMs = 10_000

/** Resolves with the exit code when the runner has ended; it is not 0 when the run was ended from outside or has hung. */
export function runNodeTests(options: NodeRunnerOptions): Promise<number> {
  const { silentMsMax, take = console.log } = options
  const runner = spawn(process.execPath, ['--test', '--test-reporter=spec', ...options.arguments], {
    cwd: options.directory,
    stdio: ['inherit', 'pipe', 'inherit'],
    env: options.environment,
  })
  let isEnding = false
  // More than once where a signal comes from a process group and from a parent.
  const end = (): void => {
    if (isEnding) return
    isEnding = true
    const files = runner.pid === undefined ? [] : childrenOf(runner.pid)
    runner.kill('SIGTERM')
    setTimeout(() => {
      runner.kill('SIGKILL')
      // A file in an endless loop hears no SIGTERM.
      for (const file of files) kill(file)
    }, graceMs)
  }
  const hang = (): void => {
    take(`no test has ended for ${silentMsMax / 1000} s: what still runs has hung, and is ended`)
    end()
  }
  let silence = setTimeout(hang, silentMsMax)
  createInterface({ input: runner.stdout }).on('line', (line) => {
    clearTimeout(silence)
    silence = setTimeout(hang, silentMsMax)
    take(line)
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, end)
  return new Promise((resolve) => {
    runner.once('close', (code) => {
      clearTimeout(silence)
      for (const signal of signals) process.off(signal, end)
      resolve(code ?? 1)
    })
  })
}

function kill(file: ProcessIdentity): void {
  try {
    if (isAlive(file)) process.kill(file.pid, 'SIGKILL')
  } catch {
    // ESRCH: it has ended since.
  }
}

/** Linux only; elsewhere nothing is found. */
function childrenOf(parent: number): readonly ProcessIdentity[] {
  const pids = existsSync('/proc') ? readdirSync('/proc').map(Number).filter(Number.isInteger) : []
  return pids.filter((pid) => parentOf(pid) === parent).flatMap((pid) => identityOf(pid) ?? [])
}

/** Behind the name, which may hold anything: state, parent. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined // it has ended
  }
}
