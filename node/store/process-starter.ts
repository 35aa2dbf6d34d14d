// Starts processes for the node without stopping it. To fork a process copies the tables of all its memory, on the thread that asks: 6 ms for each 100 MB, in which the node
// would answer nothing, no heartbeat either, and a client can have a process killed, and another one started, whenever it likes. So a small process is forked once, at the first
// need, and forks all others (starter-process.ts); killable-process.ts stands for each of them. There is no other way in which the node starts processes.
import { fork, type ChildProcess } from 'node:child_process'
import { env } from 'node:process'
import type { StarterReply, StarterRequest } from './starter-messages.ts'

/** `signal`: that has ended it. `unstarted`: the system has no process for us, so it says nothing about what was to be done. `reason`: for the log. */
export type StartedEnd =
  | { readonly kind: 'ended'; readonly signal: NodeJS.Signals | null; readonly reason: string }
  | { readonly kind: 'unstarted'; readonly reason: string }

export interface StartedListener {
  readonly onMessage: (message: unknown) => void
  /**
   * Once, when it is gone: nothing of it holds a file or a lock any more. (Where somebody has killed the starter, a few hundredths of a second before: self-watch.ts.) Never within
   * the call that starts it.
   */
  readonly onEnded: (end: StartedEnd) => void
}

/** JavaScript's part of the memory of each; SQLite's is watched by the process itself (self-watch.ts). */
const execArgv = ['--max-old-space-size=128', '--max-semi-space-size=2']

class ProcessStarter {
  readonly #listeners = new Map<number, StartedListener>()
  #starter: ChildProcess | undefined
  #lastId = 0

  start(file: string, given: readonly string[], listener: StartedListener): number {
    this.#lastId += 1
    const id = this.#lastId
    const starter = (this.#starter ??= this.#fork())
    this.#listeners.set(id, listener)
    this.#hold(starter)
    tell(starter, { kind: 'start', id, file, arguments: given })
    return id
  }

  /** Lost when the process has ended meanwhile; `onEnded` tells of that. */
  tell(request: Exclude<StarterRequest, { kind: 'start' }>): void {
    if (this.#starter !== undefined && this.#listeners.has(request.id)) tell(this.#starter, request)
  }

  /** At once, whatever is still to be sent. */
  kill(id: number): void {
    if (this.#listeners.has(id)) this.#starter?.stdin?.write(`${id}\n`)
  }

  #fork(): ChildProcess {
    const { NODE_COMPILE_CACHE: cache } = env
    const starter = fork(new URL('starter-process.ts', import.meta.url), {
      serialization: 'advanced',
      stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
      // What is freed goes back to the system: by itself the C library keeps ever more of it, and that is not V8's to collect.
      env: { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) },
      // It collects its garbage itself.
      execArgv: [...execArgv, '--expose-gc'],
    })
    starter.on('message', (reply) => this.#heard(starter, reply as StarterReply)) // our own program at the other end
    // It ends only when somebody kills it, and all that it has started ends with it.
    starter.on('disconnect', () =>
      this.#lost(starter, { kind: 'ended', signal: 'SIGKILL', reason: 'the process that had started it has ended' }),
    )
    starter.stdin?.on('error', () => {}) // it has ended: `disconnect` tells of that
    starter.on('error', (error) => {
      if (starter.pid === undefined) this.#lost(starter, { kind: 'unstarted', reason: error.message })
    })
    return starter
  }

  #heard(starter: ChildProcess, reply: StarterReply): void {
    const listener = this.#listeners.get(reply.id)
    if (reply.kind === 'said') return listener?.onMessage(reply.message)
    this.#listeners.delete(reply.id)
    this.#hold(starter)
    listener?.onEnded(reply)
  }

  #lost(starter: ChildProcess, end: StartedEnd): void {
    if (this.#starter !== starter) return
    this.#starter = undefined
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    for (const { onEnded } of listeners) onEnded(end)
  }

  /** A program whose work is done ends although the starter is there. */
  #hold(starter: ChildProcess): void {
    if (this.#listeners.size > 0) {
      starter.ref()
      starter.channel?.ref()
    } else {
      starter.unref()
      starter.channel?.unref()
    }
  }
}

/** One for the whole process, as forking is a matter of the whole process. */
export const processStarter = new ProcessStarter()

function tell(starter: ChildProcess, request: StarterRequest): void {
  if (starter.connected) starter.send(request, () => {})
}
