// The main thread's end of the writer's thread. Batching is natural: whatever arrives while one fdatasync runs becomes the next frame.
import { Worker } from 'node:worker_threads'
import type {
  DurableReply,
  LogWriter,
  StartLogWriter,
  TidiedReply,
  WriterEvents,
  WriterFailure,
  WriterOptions,
  WriterRequest,
} from './log-writer.ts'

export interface ThreadOptions extends WriterOptions {
  readonly directory: string
}

export type ThreadRequest = WriterRequest | { readonly kind: 'close' }

export type ThreadReply =
  | { readonly kind: 'durable'; readonly reply: DurableReply }
  | { readonly kind: 'tidied'; readonly reply: TidiedReply }
  | { readonly kind: 'failed'; readonly failure: WriterFailure }

/** Writes to the segments in `directory`. */
export function startWriterThread(directory: string): StartLogWriter {
  return (options, on) => new WriterThread({ ...options, directory }, on)
}

class WriterThread implements LogWriter {
  readonly #worker: Worker
  readonly #ended: Promise<void>
  #isClosing = false

  constructor(options: ThreadOptions, on: WriterEvents) {
    this.#worker = new Worker(new URL('log-writer-thread.ts', import.meta.url), {
      workerData: options,
      name: 'log-writer',
      // Options of the main program (an --input-type, say) are none of its business.
      execArgv: [],
      // What it allocates lives briefly.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    })
    const failed = (message: string, cause?: unknown): void => on.failed({ kind: 'disk_failed', message, cause })
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        if (!this.#isClosing) failed('the thread that writes the log has ended')
        resolve()
      })
    })
    this.#worker.on('error', (error) => failed('the thread that writes the log has crashed', error))
    this.#worker.on('message', (message: ThreadReply) => {
      if (message.kind === 'durable') on.durable(message.reply)
      if (message.kind === 'tidied') on.tidied(message.reply)
      if (message.kind === 'failed') on.failed(message.failure)
    })
  }

  request(request: WriterRequest): void {
    // The records were put into a buffer of their own, so it is moved, not copied.
    const moved = request.kind === 'write' ? [request.entries.buffer as ArrayBuffer] : []
    this.#worker.postMessage(request, moved)
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#worker.postMessage({ kind: 'close' } satisfies ThreadRequest, [])
    await this.#ended
  }
}
