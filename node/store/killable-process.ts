// The node's end of a process that runs what cannot be stopped otherwise: better-sqlite3 has no interrupt, and a thread inside of SQLite cannot be ended. A process can.
import { fileURLToPath } from 'node:url'
import { processStarter } from './process-starter.ts'

/**
 * `memory`, `processor`: it has ended itself at that limit (or V8 has, for want of memory). `killed`: SIGKILL, whoever has sent it. `unstarted`: the system had no process for us.
 * `reason`: for the log.
 */
export interface ProcessEnd {
  readonly cause: 'memory' | 'processor' | 'killed' | 'unstarted' | 'fault'
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

export class KillableProcess<Request extends object, Reply> {
  readonly #id: number

  constructor({ file, arguments: given, onReply, onEnded }: KillableOptions<Reply>) {
    this.#id = processStarter.start(fileURLToPath(file), given, {
      onMessage: (message) => onReply(message as Reply), // our own program at the other end
      onEnded: (end) => onEnded({ cause: end.kind === 'unstarted' ? 'unstarted' : causeOf(end.signal), reason: end.reason }),
    })
  }

  /** Lost when the process has ended meanwhile; `onEnded` tells of that. */
  send(message: Request): void {
    processStarter.tell({ kind: 'send', id: this.#id, message })
  }

  /** Behind everything else on the machine, for good: nobody may come forward again. */
  stepBack(): void {
    processStarter.tell({ kind: 'step-back', id: this.#id })
  }

  kill(): void {
    processStarter.kill(this.#id)
  }
}

const memorySignals: ReadonlySet<NodeJS.Signals> = new Set(['SIGUSR2', 'SIGABRT', 'SIGTRAP', 'SIGILL'])

/** self-watch.ts ends its process by SIGUSR2 and SIGVTALRM, V8 by an abort or a trap. */
function causeOf(signal: NodeJS.Signals | null): ProcessEnd['cause'] {
  if (signal === 'SIGKILL') return 'killed'
  if (signal === 'SIGVTALRM') return 'processor'
  return signal !== null && memorySignals.has(signal) ? 'memory' : 'fault'
}
