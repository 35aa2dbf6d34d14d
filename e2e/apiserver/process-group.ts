// Long-running programs of a test run, each in a process group of its own (a Ctrl-C on the terminal reaches only the run, which then ends them in order), and a reaper
// that ends them when the run cannot.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReaperNotice } from './reaper.ts'

export interface ProgramStart {
  /** For messages and the name of the log file. */
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly environment?: NodeJS.ProcessEnv
  readonly cwd?: string
}

/** How long a program may take to end after SIGTERM, when nobody asks how it ends. */
const graceMs = 5_000
const logLinesShown = 15

export class ProcessGroup {
  readonly #folder: string
  readonly #running = new Map<string, ChildProcess>()
  readonly #reaper: ChildProcess

  /** `folder` holds the logs (`NAME.log`) and is removed by the reaper if nobody else does. */
  constructor(folder: string) {
    this.#folder = folder
    this.#reaper = spawn(process.execPath, [join(import.meta.dirname, 'reaper.ts')], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#reaper.unref()
    this.#reaper.stdin?.on('error', () => undefined)
    this.#tell({ folder })
  }

  start({ name, program, args, environment, cwd }: ProgramStart): void {
    const log = openSync(this.logFile(name), 'a', 0o600)
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], env: environment ?? {}, cwd: cwd ?? this.#folder })
    closeSync(log)
    this.#running.set(name, child)
    child.once('error', () => this.#running.delete(name))
    const { pid } = child
    if (pid === undefined) return
    this.#tell({ started: pid })
    child.once('exit', () => {
      this.#running.delete(name)
      this.#tell({ ended: pid })
    })
  }

  isRunning(name: string): boolean {
    return this.#running.has(name)
  }

  logFile(name: string): string {
    return join(this.#folder, `${name}.log`)
  }

  /** The last lines of a program's log: as many as an error message can take, if nothing else is said. */
  async logTail(name: string, lines: number = logLinesShown): Promise<string> {
    const text = await readFile(this.logFile(name), 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  /** SIGTERM, then SIGKILL for what is still there after the grace; resolves when it has ended. */
  async stop(name: string, withinMs = graceMs): Promise<void> {
    const child = this.#running.get(name)
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    const group = -child.pid
    signalGroup(group, 'SIGTERM')
    const hard = setTimeout(() => signalGroup(group, 'SIGKILL'), withinMs)
    await ended
    clearTimeout(hard)
  }

  /** Ends every program in the reverse order of their start, then the reaper. */
  async close(): Promise<void> {
    for (const name of [...this.#running.keys()].toReversed()) await this.stop(name)
    this.#reaper.stdin?.end()
  }

  #tell(notice: ReaperNotice): void {
    this.#reaper.stdin?.write(`${JSON.stringify(notice)}\n`)
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(group, signal)
  } catch {
    // ESRCH: the group has ended between the look and the signal.
  }
}
