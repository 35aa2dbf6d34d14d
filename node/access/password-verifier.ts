// Compares passwords with bcrypt hashes in worker threads, one question at a time for each, behind a bounded queue: beyond it a caller is told to come back,
// since every question costs an attacker nothing and us 70 ms of a core.
import { strict as assert } from 'node:assert'
import { Worker } from 'node:worker_threads'
import { bcryptPasswordBytesMax } from '../../contract/access-file.ts'
import type { PasswordQuestion } from './password-worker.ts'

interface Job {
  readonly question: PasswordQuestion
  readonly answer: (verdict: boolean | 'overloaded') => void
}

interface Desk {
  readonly worker: Worker
  job: Job | undefined
}

export interface PasswordVerifierLimits {
  readonly threads: number
  /** Waiting questions: at 70 ms each the last one waits for queueMax * 70 ms / threads. */
  readonly queueMax: number
}

// One thread: a small machine must keep its other core for Raft and SQLite. 64 waiting: the last one is answered in under 5 s, before clients give up.
const passwordVerifierLimits: PasswordVerifierLimits = { threads: 1, queueMax: 64 }

export class PasswordVerifier {
  readonly #limits: PasswordVerifierLimits
  readonly #waiting: Job[] = []
  readonly #desks: Desk[] = []
  #closed = false

  constructor(limits: PasswordVerifierLimits = passwordVerifierLimits) {
    this.#limits = limits
  }

  /** Whether `password` is what `hash` was made of. bcrypt looks at 72 bytes only: a longer password matches nothing, or two with the same beginning would be one. */
  async verify(password: string, hash: string): Promise<boolean | 'overloaded'> {
    if (this.#closed || this.#waiting.length >= this.#limits.queueMax) return 'overloaded'
    const matches = await new Promise<boolean | 'overloaded'>((answer) => {
      this.#waiting.push({ question: { password, hash }, answer })
      this.#dispatch()
    })
    return Buffer.byteLength(password) > bcryptPasswordBytesMax && matches === true ? false : matches
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const job of this.#waiting.splice(0)) job.answer('overloaded')
    await Promise.all(this.#desks.map(({ worker }) => worker.terminate()))
    for (const desk of this.#desks.splice(0)) desk.job?.answer('overloaded')
  }

  #dispatch(): void {
    const desk = this.#desks.find(({ job }) => job === undefined) ?? this.#hire()
    if (desk === undefined) return
    const job = this.#waiting.shift()
    if (job === undefined) return
    desk.job = job
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    desk.worker.postMessage(job.question)
  }

  // Threads start with the first hash to compare: a node whose file holds none never pays for them. An error inside one is a bug and ends the process.
  #hire(): Desk | undefined {
    if (this.#desks.length >= this.#limits.threads) return undefined
    const worker = new Worker(new URL('./password-worker.ts', import.meta.url))
    worker.unref()
    const desk: Desk = { worker, job: undefined }
    worker.on('message', (verdict: unknown) => {
      assert(typeof verdict === 'boolean' && desk.job !== undefined)
      const { answer } = desk.job
      desk.job = undefined
      answer(verdict)
      this.#dispatch()
    })
    this.#desks.push(desk)
    return desk
  }
}
