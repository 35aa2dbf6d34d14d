// The part of the in-memory twin that watches: a bounded window of past changes, as in etcd and the API server's watch cache. A watch that asks for more than
// the window holds gets `gone` and must list again. Delivery is asynchronous and in order: no caller's code ever runs inside a write.
import { ok } from '../../runtime/result.ts'
import type { KubeObject, KubeResult, WatchEvent, WatchOptions } from './kube.ts'
import { selects } from './selector.ts'

export interface Change {
  readonly collection: string
  readonly version: number
  readonly before: KubeObject | undefined
  /** Undefined when the object was deleted; `before` then carries the version of the deletion. */
  readonly after: KubeObject | undefined
}

interface Watcher {
  readonly collection: string
  readonly deliver: (change: Change) => void
  readonly bookmark: (version: number) => void
  readonly end: (result: KubeResult<void>) => void
}

export class WatchHistory {
  readonly #limit: number
  readonly #changes: Change[] = []
  readonly #watchers = new Set<Watcher>()
  /** Changes up to this version are forgotten. */
  #forgotten: number

  constructor(options: { readonly limit: number; readonly firstVersion: number }) {
    this.#limit = options.limit
    this.#forgotten = options.firstVersion
  }

  record(change: Change): void {
    this.#changes.push(change)
    if (this.#changes.length > this.#limit) this.#forgotten = this.#changes.shift()?.version ?? this.#forgotten
    for (const watcher of this.#watchers) if (watcher.collection === change.collection) watcher.deliver(change)
  }

  /** Resolves when the watch has ended: by its signal, by `endAll`, or at once with `gone`. */
  watch(collection: string, options: WatchOptions): Promise<KubeResult<void>> {
    const from = Number(options.resourceVersion)
    if (!Number.isSafeInteger(from) || from < this.#forgotten) {
      return Promise.resolve({ ok: false, problem: { code: 'gone', message: `too old resource version: ${options.resourceVersion}` } })
    }
    if (options.signal.aborted) return Promise.resolve(ok(undefined))
    return new Promise((resolve) => {
      const watcher = this.#open(collection, options, resolve)
      for (const change of this.#changes) if (change.collection === collection && change.version > from) watcher.deliver(change)
    })
  }

  bookmarkAll(version: number): void {
    for (const watcher of this.#watchers) watcher.bookmark(version)
  }

  /** What a restarting API server or a dropped connection does to every watch. */
  endAll(result: KubeResult<void>): void {
    for (const watcher of this.#watchers) watcher.end(result)
  }

  /** Forgets everything so far, as a compaction does. */
  forget(version: number): void {
    this.#changes.length = 0
    this.#forgotten = version
  }

  #open(collection: string, options: WatchOptions, resolve: (result: KubeResult<void>) => void): Watcher {
    const selected = selects(options)
    let open = true
    const send = (event: WatchEvent): void => {
      queueMicrotask(() => {
        if (open) options.onEvent(event)
      })
    }
    const end = (result: KubeResult<void>): void => {
      open = false
      this.#watchers.delete(watcher)
      options.signal.removeEventListener('abort', aborted)
      resolve(result)
    }
    const aborted = (): void => end(ok(undefined))
    const watcher: Watcher = {
      collection,
      deliver: (change) => {
        const event = eventOf(change, selected)
        if (event !== undefined) send(event)
      },
      bookmark: (version) => send({ type: 'BOOKMARK', resourceVersion: String(version) }),
      end: (result) => queueMicrotask(() => end(result)),
    }
    options.signal.addEventListener('abort', aborted)
    this.#watchers.add(watcher)
    return watcher
  }
}

/** An object that begins to match is added and one that ceases to match is deleted, whatever happened to it. */
function eventOf(change: Change, selected: (object: KubeObject) => boolean): WatchEvent | undefined {
  const { before, after } = change
  const was = before !== undefined && selected(before)
  if (after !== undefined && selected(after)) return { type: was ? 'MODIFIED' : 'ADDED', object: after }
  if (!was || before === undefined) return undefined
  const metadata = { ...before.metadata, resourceVersion: String(change.version) }
  return { type: 'DELETED', object: { ...before, metadata } }
}
