// The main thread's end of the writer's thread. Batching is natural: whatever arrives while one fdatasync runs becomes the next frame.
import { Worker } from 'node:worker_threads'
import type { HardState } from '../raft/raft-port.ts'
import type { LogId } from './segment-format.ts'
import type { LogEnd } from './segment-writer.ts'

export interface WriterOptions {
  readonly directory: string
  readonly logId: LogId
  readonly end: LogEnd
  readonly segmentBytesMax: number
}

export type WriterRequest =
  | {
      readonly kind: 'write'
      readonly sequence: number
      readonly hardState: HardState
      readonly entryCount: number
      /** The entries' records one after the other, in a buffer of their own. */
      readonly entries: Uint8Array
    }
  | { readonly kind: 'close' }

export type WriterReply =
  /** Everything up to `sequence` is durable; the frame's entries begin at `entriesOffset`. */
  | { readonly kind: 'durable'; readonly sequence: number; readonly segment: number; readonly entriesOffset: number }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'closed' }

export class LogWriter {
  readonly #worker: Worker
  readonly #ended: Promise<void>
  #isClosing = false

  constructor(
    options: WriterOptions,
    on: {
      readonly durable: (reply: { readonly sequence: number; readonly segment: number; readonly entriesOffset: number }) => void
      readonly failed: (message: string, cause: unknown) => void
    },
  ) {
    this.#worker = new Worker(new URL('log-writer-thread.ts', import.meta.url), {
      workerData: options,
      name: 'log-writer',
      // Options of the main program (an --input-type, say) are none of its business.
      execArgv: [],
    })
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        if (!this.#isClosing) on.failed('the thread that writes the log has ended', undefined)
        resolve()
      })
    })
    this.#worker.on('error', (error) => on.failed('the thread that writes the log has crashed', error))
    this.#worker.on('message', (reply: WriterReply) => {
      if (reply.kind === 'durable') on.durable(reply)
      if (reply.kind === 'failed') on.failed(reply.message, undefined)
    })
  }

  write(request: Extract<WriterRequest, { kind: 'write' }>): void {
    // The records were put into a buffer of their own, so it is moved, not copied.
    this.#worker.postMessage(request, [request.entries.buffer as ArrayBuffer])
  }

  /** After everything that was asked before is durable. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#worker.postMessage({ kind: 'close' } satisfies WriterRequest, [])
    await this.#ended
  }
}
