// One node as a real process: started, killed, started again on the same files.
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { formatHostPort } from '../../contract/host-port.ts'

const program = join(import.meta.dirname, '..', '..', 'node', 'main.ts')

// What the image gives the program (Dockerfile): young objects die in a smaller place, and what the C library holds goes back, which keeps memory down.
const asInTheImage = ['--max-semi-space-size=8']
const environmentAsInTheImage = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' }

/** It only ends what hangs: the machine may be loaded. */
const compileMsMax = 180_000

/** As the image does: the program is compiled once for all starts, into a directory that does not exist yet. What it gives goes into the environment of the nodes. */
export async function compileAhead(directory: string): Promise<Readonly<Record<string, string>>> {
  const environment = { NODE_COMPILE_CACHE: directory }
  const argv = [...asInTheImage, program, '-version']
  await promisify(execFile)(process.execPath, argv, {
    env: { ...process.env, ...environment },
    timeout: compileMsMax,
    killSignal: 'SIGKILL',
  })
  return environment
}

export interface ExitStatus {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

// A suite that is interrupted or fails half-way must leave no process behind.
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1))
}

export class NodeProcess {
  readonly id: string
  /** Where its API listens. */
  readonly host: string
  readonly apiPort: number
  readonly #arguments: readonly string[]
  readonly #logFile: string
  readonly #cwd: string | undefined
  readonly #launcher: readonly string[]
  readonly #environment: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #exit: Promise<ExitStatus> | undefined

  constructor(options: {
    readonly id: string
    readonly apiPort: number
    readonly arguments: readonly string[]
    readonly logFile: string
    readonly cwd?: string
    readonly host?: string
    /** Put in front of the program, such as `ip netns exec`; it must become the program, so that a signal reaches it. */
    readonly launcher?: readonly string[]
    readonly environment?: Readonly<Record<string, string>>
  }) {
    this.id = options.id
    this.apiPort = options.apiPort
    this.#arguments = options.arguments
    this.#logFile = options.logFile
    this.#cwd = options.cwd
    this.host = options.host ?? '127.0.0.1'
    this.#launcher = options.launcher ?? []
    this.#environment = options.environment ?? {}
  }

  get address(): string {
    return formatHostPort({ host: this.host, port: this.apiPort })
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** True between start and exit, whoever ended it. */
  get isRunning(): boolean {
    return this.#child !== undefined
  }

  start(): void {
    if (this.#child !== undefined) throw new Error(`${this.id} is running already`)
    const log = openSync(this.#logFile, 'a')
    const [command = process.execPath, ...argv] = [...this.#launcher, process.execPath, ...asInTheImage, program, ...this.#arguments]
    const child = spawn(command, argv, {
      stdio: ['ignore', log, log],
      cwd: this.#cwd,
      env: { ...process.env, ...environmentAsInTheImage, ...this.#environment },
    })
    closeSync(log)
    running.add(child)
    this.#child = child
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        running.delete(child)
        if (this.#child === child) this.#child = undefined
        resolve({ code, signal })
      })
    })
  }

  /** Stands still until `resume`, as in a long pause of the machine: its connections stay, it answers nothing. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Resolves when the process has ended by itself (or was ended by somebody else). */
  async ended(): Promise<ExitStatus> {
    if (this.#exit === undefined) throw new Error(`${this.id} was never started`)
    return await this.#exit
  }

  /** Resolves when the process is gone. A stop by SIGTERM that takes longer than the grace is a fault of the node (or hangs: the machine may be loaded), and the caller sees it in the signal. */
  async end(signal: 'SIGKILL' | 'SIGTERM', graceMs = 90_000): Promise<ExitStatus> {
    const child = this.#child
    const exit = this.#exit
    if (child === undefined || exit === undefined) throw new Error(`${this.id} is not running`)
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    try {
      return await exit
    } finally {
      clearTimeout(timer)
    }
  }

  /** The end of what it logged, for reports of failures; without those who asked whether it was ready, which drown everything else. */
  logTail(lines = 20): string {
    const said = this.log()
      .split('\n')
      .filter((line) => line !== '' && !line.includes('"endpoint":"/readyz"'))
    return said.slice(-lines).join('\n')
  }

  /** Empty when it was never started. */
  log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : ''
  }
}
