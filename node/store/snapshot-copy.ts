// The main thread's end of snapshot-copy-thread.ts: one copy, one thread, which ends with it.
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'

export interface CopyOptions {
  readonly databasePath: string
  /** Does not exist yet; its directory does. */
  readonly copyPath: string
  /** Anything but 0 ends the copy. */
  readonly stop: Int32Array
  /** One of `hold`. */
  readonly hold: Int32Array
}

/** Of the thread on the database. Once it is `released` the thread opens it no more. */
export const hold = { notYet: 0, open: 1, released: 2 } as const

/** One step and one sync, with a disk that is very slow. */
const releaseMsMax = 30_000

export type CopyReply =
  | { readonly kind: 'made'; readonly point: SnapshotPoint; readonly bytes: number; readonly hash: string }
  | { readonly kind: 'failed'; readonly message: string }

export type MadeCopy = Omit<Extract<CopyReply, { kind: 'made' }>, 'kind'>

export class SnapshotCopy {
  /** Never rejects. The problem is a text for the log: the disk was full, say. What was written of the copy is the caller's to remove. */
  readonly finished: Promise<Result<MadeCopy, string>>
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #hold = new Int32Array(new SharedArrayBuffer(4))

  constructor(options: Omit<CopyOptions, 'stop' | 'hold'>) {
    const worker = new Worker(new URL('snapshot-copy-thread.ts', import.meta.url), {
      workerData: { ...options, stop: this.#stop, hold: this.#hold } satisfies CopyOptions,
      name: 'snapshot-copy',
      execArgv: [],
      // It allocates next to nothing: a heap that may grow would be memory that nobody uses.
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
    })
    this.finished = new Promise((resolve) => {
      let result: Result<MadeCopy, string> = fail('the thread that copies the database has ended')
      worker.on('message', (reply: CopyReply) => {
        result = reply.kind === 'made' ? ok({ point: reply.point, bytes: reply.bytes, hash: reply.hash }) : fail(reply.message)
      })
      worker.on('error', (error: Error) => (result = fail(error.message)))
      worker.on('exit', () => resolve(result))
    })
  }

  /** Soon `finished` says that it failed. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1)
    Atomics.notify(this.#stop, 0)
  }

  /** As `stop`, and waits until the thread has the database no longer open; one that is only starting will not open it. */
  release(): void {
    this.stop()
    Atomics.compareExchange(this.#hold, 0, hold.notYet, hold.released)
    const waited = Atomics.wait(this.#hold, 0, hold.open, releaseMsMax)
    assert(waited !== 'timed-out', 'a copy that is stopped closes the database within one step')
  }
}
