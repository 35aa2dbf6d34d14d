// Keeps the WAL short while writes and reads go on, and makes it durable when asked. Two phases: a thread copies the WAL's frames back into the database beside the running
// writes (PASSIVE, which waits for nobody but can never start the WAL anew while a writer goes on); when little is left, the writer holds still for the moment in which the
// thread copies the rest and empties the file (TRUNCATE). Nothing of it runs on the main thread: the pause is one of the writes, not of heartbeats and reads.
import { statSync } from 'node:fs'
import { DatabaseThread, type ThreadFailure } from './database-thread.ts'

export type WalRequest =
  | { readonly kind: 'sync'; readonly id: number }
  | { readonly kind: 'copy' }
  | { readonly kind: 'empty'; readonly patienceMs: number }

export type WalReply =
  | { readonly kind: 'synced'; readonly id: number }
  | { readonly kind: 'copied'; readonly isBusy: boolean; readonly frames: number; readonly framesCopied: number }
  | { readonly kind: 'emptied'; readonly isEmpty: boolean }

/** A WAL shorter than this is left alone. */
const walBytesMin = 4 * 1024 * 1024
/** So much may be left for the moment in which writes wait; more where another copy would leave as much again. */
const restBytesMax = 512 * 1024
/**
 * Readers that began before the writer held still are waited for so long; when they did not end in time, longer; and the longer the WAL, the longer, so that no chain of
 * overlapping reads can make it grow without end.
 */
const patienceMs = { first: 20, next: 60, max: 2_000 }
/** Beyond this the WAL makes reads slow, and is emptied with whatever is left to copy. */
const walBytesLong = 64 * 1024 * 1024
/** After readers have not ended in time, or nothing could be copied. Without it every group of entries would wait for the same long read again. */
const retryAfterMs = 1_000
/** A frame is a page and its header. */
const frameBytes = 4_096 + 24

export class WalKeeper {
  readonly #walPath: string
  readonly #thread: DatabaseThread<WalRequest, WalReply>
  readonly #syncs = new Map<number, () => void>()
  #lastSync = 0
  #phase: 'idle' | 'copying' | 'ready' | 'emptying' = 'idle'
  #lastPass: { readonly framesCopied: number; readonly restBytes: number } | undefined
  #hasFailed = false
  #isHeld = false
  #notBeforeMs = 0
  #retry: NodeJS.Timeout | undefined
  readonly #onReady: () => void
  #onEmptied: () => void = () => {}

  /** `onReady`: little is left; the writer, when it is between two groups and sees `isReady`, holds still and calls `empty`. */
  constructor(options: {
    readonly path: string
    readonly onReady: () => void
    readonly onFailed: (failure: ThreadFailure, cause: unknown) => void
  }) {
    this.#walPath = `${options.path}-wal`
    this.#onReady = options.onReady
    this.#thread = new DatabaseThread({
      file: new URL('wal-thread.ts', import.meta.url),
      name: 'wal-thread',
      path: options.path,
      onReply: (reply) => this.#replied(reply),
      onFailed: options.onFailed,
    })
  }

  /** Resolves when everything that is committed now is durable. */
  sync(): Promise<void> {
    return new Promise((resolve) => {
      this.#lastSync += 1
      this.#syncs.set(this.#lastSync, resolve)
      this.#thread.ask({ kind: 'sync', id: this.#lastSync })
    })
  }

  /** Behind each group of entries. */
  look(): void {
    if (this.#isHeld || this.#phase !== 'idle' || this.#bytes() < walBytesMin || performance.now() < this.#notBeforeMs) return
    this.#lastPass = undefined
    this.#copy()
  }

  /** While it is held nothing new is begun: somebody reads an older state, and will for long. */
  hold(state: 'held' | 'free'): void {
    this.#isHeld = state === 'held'
    if (!this.#isHeld) this.#lookLater()
  }

  get isReady(): boolean {
    return this.#phase === 'ready'
  }

  /** When it is ready and the writer holds still until `then`. */
  empty(then: () => void): void {
    this.#phase = 'emptying'
    this.#onEmptied = then
    const usual = this.#hasFailed ? patienceMs.next : patienceMs.first
    const long = Math.ceil((patienceMs.next * this.#bytes()) / walBytesLong)
    this.#thread.ask({ kind: 'empty', patienceMs: Math.min(Math.max(usual, long), patienceMs.max) })
  }

  /** While nothing is written: closes the thread's connection before it returns. */
  release(): void {
    this.#thread.release()
  }

  /** When every connection of the process is closed. */
  forget(): void {
    this.#thread.forget()
  }

  close(): Promise<void> {
    clearTimeout(this.#retry)
    return this.#thread.close()
  }

  #copy(): void {
    this.#phase = 'copying'
    this.#thread.ask({ kind: 'copy' })
  }

  #replied(reply: WalReply): void {
    switch (reply.kind) {
      case 'synced': {
        const resolve = this.#syncs.get(reply.id)
        this.#syncs.delete(reply.id)
        resolve?.()
        return
      }
      case 'copied':
        return this.#copied(reply.framesCopied)
      case 'emptied': {
        this.#phase = 'idle'
        this.#hasFailed = !reply.isEmpty
        if (this.#hasFailed) this.#lookLater()
        const then = this.#onEmptied
        this.#onEmptied = () => {}
        return then()
      }
    }
  }

  #copied(framesCopied: number): void {
    const bytes = this.#bytes()
    const restBytes = bytes - framesCopied * frameBytes
    const before = this.#lastPass
    this.#lastPass = { framesCopied, restBytes }
    if (restBytes <= restBytesMax || bytes >= walBytesLong) return this.#ready()
    // A reader needs what would be written over.
    if (framesCopied === before?.framesCopied) return this.#later()
    // A writer that is as fast as the copying must wait for it.
    if (before !== undefined && restBytes > before.restBytes / 2) return this.#ready()
    this.#copy()
  }

  #ready(): void {
    this.#phase = 'ready'
    this.#onReady()
  }

  #later(): void {
    this.#phase = 'idle'
    this.#lookLater()
  }

  /** Also when nothing more is written: whoever wants to write may be waiting for it (rehearsals.ts). */
  #lookLater(): void {
    this.#notBeforeMs = performance.now() + retryAfterMs
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.look(), retryAfterMs + 1).unref()
  }

  #bytes(): number {
    return statSync(this.#walPath, { throwIfNoEntry: false })?.size ?? 0
  }
}
