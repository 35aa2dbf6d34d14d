// Ends the process, with a word about what was under way, when something takes too long: an endless statement on the main thread, or news that never come. A thread of its own, because
// the main one may be inside of SQLite.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export class HangWatch {
  readonly #worker: Worker

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  /** `msMax`: between two calls of `begin`. */
  static async start({ msMax }: { readonly msMax: number }): Promise<HangWatch> {
    const worker = new Worker(new URL('hang-watch-thread.ts', import.meta.url), { workerData: msMax, execArgv: [] })
    // Until it says that it listens it needs the main thread.
    await once(worker, 'message')
    return new HangWatch(worker)
  }

  /** What was under way before is over. */
  begin(what: string): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    this.#worker.postMessage(what)
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
