// A thread with a connection of its own to the database: both ends of the conversation. It starts when it is first asked something, and closes its connection whenever it is
// told to: a database file may only be replaced when nobody has it open.
import { Worker, parentPort, workerData } from 'node:worker_threads'
import type { FatalCode } from './fatal.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'

/** Only an idle store is suspended, so what is waited for is the rest of one checkpoint at most. */
const releaseMsMax = 30_000

export interface ThreadSetting {
  readonly path: string
  /** Set and notified when the connection is closed. */
  readonly released: Int32Array<SharedArrayBuffer>
}

export interface ThreadFailure {
  readonly kind: 'failed'
  readonly code: FatalCode
  readonly message: string
}

/** `release`: close the connection. `forget`: no connection is open any more. `end`: both, and nothing comes after it. */
interface Order {
  readonly kind: 'release' | 'forget' | 'end'
}

interface Kind {
  readonly kind: string
}

export interface ThreadOptions<Reply> {
  readonly file: URL
  /** For the log. */
  readonly name: 'wal-thread' | 'apply-thread'
  readonly path: string
  readonly onReply: (reply: Reply) => void
  /** The thread has ended, and with it what it was asked. */
  readonly onFailed: (failure: ThreadFailure, cause: unknown) => void
}

export class DatabaseThread<Request extends Kind, Reply extends Kind> {
  readonly #options: ThreadOptions<Reply>
  readonly #released = new Int32Array(new SharedArrayBuffer(4))
  #running: { readonly worker: Worker; readonly ended: Promise<void> } | undefined
  #isClosing = false

  constructor(options: ThreadOptions<Reply>) {
    this.#options = options
  }

  ask(request: Request, transfer: readonly ArrayBuffer[] = []): void {
    this.#running ??= this.#start()
    this.#running.worker.postMessage(request, transfer)
  }

  /** Returns when the thread has closed its connection; it opens another one when it is asked again. Blocks: there is no turn of the loop between closing and replacing. */
  release(): void {
    this.#order({ kind: 'release' })
  }

  /** Likewise, after every connection of the process was closed. */
  forget(): void {
    this.#order({ kind: 'forget' })
  }

  /** After what was asked before. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#running?.worker.postMessage({ kind: 'end' } satisfies Order, [])
    await this.#running?.ended
  }

  #order(order: Order): void {
    if (this.#running === undefined) return
    Atomics.store(this.#released, 0, 0)
    this.#running.worker.postMessage(order, [])
    if (Atomics.wait(this.#released, 0, 0, releaseMsMax) === 'timed-out')
      throw new EnvironmentFailure(`a thread did not give the database free within ${releaseMsMax} ms`)
  }

  #start(): { readonly worker: Worker; readonly ended: Promise<void> } {
    const { file, name, path, onReply, onFailed } = this.#options
    const worker = new Worker(file, {
      workerData: { path, released: this.#released } satisfies ThreadSetting,
      name,
      // Options of the main program (an --input-type, say) are none of its business.
      execArgv: [],
      // What it allocates lives briefly: the main thread's larger place for that would only be memory.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    })
    worker.on('message', (reply: Reply | ThreadFailure) => {
      if (isFailure(reply)) onFailed(reply, undefined)
      else onReply(reply)
    })
    worker.on('error', (error) => onFailed({ kind: 'failed', code: 'database_failed', message: `${name} has crashed` }, error))
    const ended = new Promise<void>((resolve) => {
      worker.on('exit', () => {
        if (!this.#isClosing) onFailed({ kind: 'failed', code: 'database_failed', message: `${name} has ended` }, undefined)
        resolve()
      })
    })
    return { worker, ended }
  }
}

function isFailure(reply: Kind): reply is ThreadFailure {
  return reply.kind === 'failed'
}

/** Declared as methods, so that a service may take just the requests that its own end sends. */
interface Service {
  /** Opens the connection when there is none. */
  handle(request: Kind): void
  /** Closes it. */
  release(): void
  forget(): void
}

/** The thread's end. A failure of the environment is told and ends the thread. */
export function serveDatabaseThread(make: (setting: ThreadSetting, reply: (reply: Kind) => void) => Service): void {
  const port = parentPort
  if (port === null) throw new Error('this file runs as a thread only')
  const setting = workerData as ThreadSetting // handed over by DatabaseThread
  const service = make(setting, (reply) => port.postMessage(reply))
  port.on('message', (request: Kind) => {
    try {
      if (isOrder(request)) {
        if (request.kind === 'release' || request.kind === 'end') service.release()
        if (request.kind === 'forget' || request.kind === 'end') service.forget()
        if (request.kind === 'end') port.close()
        Atomics.store(setting.released, 0, 1)
        Atomics.notify(setting.released, 0)
      } else service.handle(request)
    } catch (error) {
      if (!(error instanceof EnvironmentFailure)) throw error
      port.postMessage({ kind: 'failed', code: error.code, message: error.message } satisfies ThreadFailure)
      port.close()
    }
  })
}

function isOrder(request: Kind): request is Order {
  return request.kind === 'release' || request.kind === 'forget' || request.kind === 'end'
}
