// For processes that run what clients send: a thread of the process watches it while its main thread is inside of SQLite and can watch nothing. It ends the process when it
// takes too much memory (SQLite's own limit, hard_heap_limit, does nothing in this build: SQLITE_DEFAULT_MEMSTATUS=0), or when the node that started it is gone.
import process from 'node:process'
import { Worker } from 'node:worker_threads'

/** How much more than this process takes at start it may take. */
export interface SelfWatchOptions {
  readonly growthBytesMax: number
}

export interface SelfWatchSetting {
  readonly bytesMax: number
  readonly parentPid: number
  /** 1 while the main thread works. */
  readonly isBusy: Int32Array<SharedArrayBuffer>
}

export class SelfWatch {
  readonly #isBusy = new Int32Array(new SharedArrayBuffer(4))
  readonly #swollenBytes: number

  constructor({ growthBytesMax }: SelfWatchOptions) {
    const bytes = process.memoryUsage.rss()
    this.#swollenBytes = bytes + growthBytesMax / 2
    const worker = new Worker(new URL('self-watch-thread.ts', import.meta.url), {
      workerData: { bytesMax: bytes + growthBytesMax, parentPid: process.ppid, isBusy: this.#isBusy } satisfies SelfWatchSetting,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
      execArgv: [],
    })
    worker.on('error', endAtOnce)
    worker.on('exit', endAtOnce)
    process.on('disconnect', endAtOnce)
  }

  begin(): void {
    Atomics.store(this.#isBusy, 0, 1)
    Atomics.notify(this.#isBusy, 0)
  }

  end(): void {
    Atomics.store(this.#isBusy, 0, 0)
  }

  get isSwollen(): boolean {
    return process.memoryUsage.rss() > this.#swollenBytes
  }
}

/** Without anything that usually runs at the end: a connection that is closed properly may want to write. */
export function endAtOnce(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('a killed process does not get here')
}
