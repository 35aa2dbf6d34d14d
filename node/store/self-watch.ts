// For processes that run what clients send: a thread of the process watches it while its main thread is inside of SQLite and can watch nothing. It ends the process when it
// takes too much memory or time (SQLite's own limit, hard_heap_limit, does nothing in this build: SQLITE_DEFAULT_MEMSTATUS=0), or when the node that started it is gone.
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { starterVariable } from './starter-messages.ts'

/** How much more than this process takes at start it may take. */
export interface SelfWatchOptions {
  readonly growthBytesMax: number
}

export interface SelfWatchSetting {
  readonly bytesMax: number
  /** Whoever started it; compared with who its parent is, which another becomes when that one ends, even before it could be asked. */
  readonly parentPid: number
  /** Another number than 0 while the main thread works, a new one each time; and how many milliseconds of the processor it may take for that, 0: any. */
  readonly work: Int32Array<SharedArrayBuffer>
}

export class SelfWatch {
  readonly #work = new Int32Array(new SharedArrayBuffer(8))
  readonly #swollenBytes: number
  #begun = 0

  constructor({ growthBytesMax }: SelfWatchOptions) {
    const bytes = process.memoryUsage.rss()
    this.#swollenBytes = bytes + growthBytesMax / 2
    const worker = new Worker(new URL('self-watch-thread.ts', import.meta.url), {
      workerData: {
        bytesMax: bytes + growthBytesMax,
        parentPid: Number(process.env[starterVariable] ?? process.ppid),
        work: this.#work,
      } satisfies SelfWatchSetting,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
      execArgv: [],
    })
    worker.on('error', endAtOnce)
    worker.on('exit', endAtOnce)
    process.on('disconnect', endAtOnce)
  }

  begin(processorMsMax = 0): void {
    this.#begun = (this.#begun % 1_000_000) + 1
    Atomics.store(this.#work, 1, processorMsMax)
    Atomics.store(this.#work, 0, this.#begun)
    Atomics.notify(this.#work, 0)
  }

  end(): void {
    Atomics.store(this.#work, 0, 0)
    Atomics.notify(this.#work, 0)
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
