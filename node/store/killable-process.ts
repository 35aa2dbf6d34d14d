// The node's end of a process that runs what cannot be stopped otherwise: better-sqlite3 has no interrupt, and a thread inside of SQLite cannot be ended. A process can.
import { fork, type ChildProcess } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { env } from 'node:process'

/** `memory`, `processor`: it has ended itself at that limit (or V8 has, for want of memory). `killed`: SIGKILL, whoever has sent it. `reason`: for the log. */
export interface ProcessEnd {
  readonly cause: 'memory' | 'processor' | 'killed' | 'fault'
  readonly reason: string
}

export interface KillableOptions<Reply> {
  readonly file: URL
  /** Visible to everybody on the machine. */
  readonly arguments: readonly string[]
  readonly onReply: (reply: Reply) => void
  /** Once, when it is gone: nothing of it holds a file or a lock any more. */
  readonly onEnded: (end: ProcessEnd) => void
}

/** Behind the node itself, which answers heartbeats, but not last: people wait for what is done here. */
const niceness = 10
/** JavaScript's part of its memory; SQLite's is watched by the process itself (self-watch.ts). */
const execArgv = ['--max-old-space-size=128', '--max-semi-space-size=2']

export class KillableProcess<Request extends object, Reply> {
  readonly #child: ChildProcess
  #hasEnded = false

  constructor(options: KillableOptions<Reply>) {
    const { NODE_COMPILE_CACHE: cache } = env
    this.#child = fork(options.file, [...options.arguments], {
      serialization: 'advanced',
      // What a crash would print may hold SQL.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: cache === undefined ? {} : { NODE_COMPILE_CACHE: cache },
      execArgv,
    })
    // From the start: loading a program takes as much of the processor as many a statement.
    this.#step(niceness)
    let end: ProcessEnd | undefined
    // What it has said before may arrive after it is gone.
    const look = (): void => {
      if (this.#hasEnded || end === undefined || this.#child.connected) return
      this.#hasEnded = true
      options.onEnded(end)
    }
    this.#child.on('message', (reply) => options.onReply(reply as Reply)) // our own program at the other end
    this.#child.on('error', (error) => {
      if (this.#child.pid !== undefined) return
      end = { cause: 'fault', reason: error.message }
      this.#hasEnded = true
      options.onEnded(end)
    })
    this.#child.on('disconnect', look)
    this.#child.on('exit', (code, signal) => {
      end = { cause: causeOf(signal), reason: signal ?? `code ${String(code)}` }
      look()
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Lost when the process has ended meanwhile; `onEnded` tells of that. */
  send(request: Request): void {
    if (this.#hasEnded || !this.#child.connected) return
    this.#child.send(request, () => {})
  }

  /** Behind everything else on the machine, for good: nobody may come forward again. */
  stepBack(): void {
    this.#step(constants.priority.PRIORITY_LOW)
  }

  #step(priority: number): void {
    const { pid } = this.#child
    if (pid === undefined || this.#hasEnded) return
    try {
      setPriority(pid, priority)
    } catch {
      // It has just ended.
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

const memorySignals: ReadonlySet<NodeJS.Signals> = new Set(['SIGUSR2', 'SIGABRT', 'SIGTRAP', 'SIGILL'])

/** self-watch.ts ends its process by SIGUSR2 and SIGVTALRM, V8 by an abort or a trap. */
function causeOf(signal: NodeJS.Signals | null): ProcessEnd['cause'] {
  if (signal === 'SIGKILL') return 'killed'
  if (signal === 'SIGVTALRM') return 'processor'
  return signal !== null && memorySignals.has(signal) ? 'memory' : 'fault'
}
