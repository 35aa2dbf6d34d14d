// bcrypt on a thread of its own. Started with the first question, unreferenced while it has none, so that it never keeps a process alive.
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'

export type BcryptRequest =
  | { readonly id: number; readonly kind: 'hash'; readonly password: string; readonly cost: number }
  | { readonly id: number; readonly kind: 'compare'; readonly password: string; readonly hash: string }

type Question =
  | { readonly kind: 'hash'; readonly password: string; readonly cost: number }
  | { readonly kind: 'compare'; readonly password: string; readonly hash: string }
interface Waiting {
  readonly resolve: (result: string | boolean) => void
  readonly reject: (error: Error) => void
}

export class BcryptThread {
  #worker: Worker | undefined
  #nextId = 1
  readonly #waiting = new Map<number, Waiting>()

  async hash(password: string, cost: number): Promise<string> {
    const result = await this.#ask({ kind: 'hash', password, cost })
    assert(typeof result === 'string')
    return result
  }

  async matches(password: string, hash: string): Promise<boolean> {
    return (await this.#ask({ kind: 'compare', password, hash })) === true
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
    this.#failAll(new Error('the password thread was closed'))
  }

  #ask(question: Question): Promise<string | boolean> {
    const worker = this.#started()
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      worker.ref()
      worker.postMessage({ id, ...question }, [])
    })
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('bcrypt-worker.ts', import.meta.url), { name: 'bcrypt', env: {} })
    worker.on('message', ({ id, result }: { id: number; result: string | boolean }) => this.#answer(id, result))
    // A crash of the thread is a bug of ours; those who wait must not wait for ever.
    worker.on('error', (error) => this.#failAll(error instanceof Error ? error : new Error('the password thread failed', { cause: error })))
    this.#worker = worker
    return worker
  }

  #answer(id: number, result: string | boolean): void {
    const waiting = this.#waiting.get(id)
    assert(waiting !== undefined, 'an answer that nobody asked for')
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#worker?.unref()
    waiting.resolve(result)
  }

  #failAll(error: Error): void {
    this.#worker = undefined
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}
