// Keeps a copy of one collection of the API server and tells what changes in it: list, then watch from there, for ever. The client library's informer stops for
// good on most errors; this one restarts after every error with back-off, lists again when the server has forgotten (410) and once in a while anyway, so that a
// change that was missed for any reason is seen in the end.
import type { Logger } from 'pino'
import { jitteredBackOffMs } from '../../runtime/back-off.ts'
import type { BackOff } from '../../runtime/back-off.ts'
import type { Clock } from './clock.ts'
import { pause } from './clock.ts'
import type { Kind, Kube, KubeObject, KubeProblem, ListOptions, WatchEvent } from '../kube/kube.ts'

export type ObjectChange =
  | { readonly kind: 'added'; readonly object: KubeObject }
  | { readonly kind: 'changed'; readonly object: KubeObject; readonly before: KubeObject }
  | { readonly kind: 'deleted'; readonly object: KubeObject }

export interface ReflectorOptions {
  readonly kube: Kube
  readonly kind: Kind
  readonly select: ListOptions
  readonly clock: Clock
  /** Gives [0, 1). */
  readonly random: () => number
  readonly log: Logger
  /** Must return at once: it runs between two events of the watch. */
  readonly onChange: (change: ObjectChange) => void
  readonly onRestart?: (problem: KubeProblem) => void
}

/** After an error of list or watch. */
export const reflectorBackOff: BackOff = { firstMs: 500, maxMs: 30_000 }
/** A full list this often, whatever the watch says: the safety net below the events. Between this and half as much again, spread by `random`. */
export const relistMs = 600_000
/** A watch that ends sooner than this, even without an error, counts as failed: otherwise a server that ends each watch at once is asked without pause. */
export const watchShortMs = 1_000

export class Reflector {
  readonly #options: ReflectorOptions
  readonly #objects = new Map<string, KubeObject>()
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #version = ''
  #failures = 0
  #listed: () => void = () => {}
  /** Resolves when the first list is in. */
  readonly synced: Promise<void>

  constructor(options: ReflectorOptions) {
    this.#options = options
    this.synced = new Promise((resolve) => {
      this.#listed = resolve
    })
    this.#ended = this.#run()
  }

  /** The objects as last heard of; undefined where there is none. */
  get(namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(`${namespace}/${name}`)
  }

  all(): readonly KubeObject[] {
    return [...this.#objects.values()]
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      if (await this.#list()) await this.#watchUntilRelist()
      else await this.#pauseAfterFailure()
    }
  }

  /** Whether the list came; then the copy is as the server has it, and what was missed has been told. */
  async #list(): Promise<boolean> {
    const { kube, kind, select } = this.#options
    const listed = await kube.list(kind, select)
    if (this.#closing.signal.aborted) return false
    if (!listed.ok) {
      this.#failed('list', listed.problem)
      return false
    }
    this.#version = listed.value.resourceVersion
    const fresh = new Map(listed.value.items.map((object) => [keyOf(object), object]))
    for (const [key, object] of this.#objects) if (!fresh.has(key)) this.#forget(object)
    for (const object of fresh.values()) this.#keep(object)
    this.#listed()
    return true
  }

  async #watchUntilRelist(): Promise<void> {
    const { clock, random } = this.#options
    const { signal } = this.#closing
    const relist = new AbortController()
    const cancel = clock.after(relistMs * (1 + random() / 2), () => relist.abort())
    const until = AbortSignal.any([signal, relist.signal])
    while (!until.aborted) {
      const goOn = await this.#watch(until)
      if (!goOn) break
    }
    cancel()
  }

  /** One watch; whether the next may begin where it ended. After `gone` it may not: what happened in between is lost, only a list can tell. */
  async #watch(until: AbortSignal): Promise<boolean> {
    const { kube, kind, select, clock } = this.#options
    const beganMs = clock.monotonicMs()
    const onEvent = (event: WatchEvent): void => this.#heard(event)
    const ended = await kube.watch(kind, { ...select, resourceVersion: this.#version, onEvent, signal: until })
    if (until.aborted) return false
    const lastedMs = clock.monotonicMs() - beganMs
    if (lastedMs >= watchShortMs) this.#failures = 0
    if (!ended.ok) this.#failed('watch', ended.problem)
    else if (lastedMs < watchShortMs) this.#failures += 1
    if (this.#failures > 0) await this.#pauseAfterFailure()
    return ended.ok || ended.problem.code !== 'gone'
  }

  #heard(event: WatchEvent): void {
    // An event or a bookmark is proof that the connection is good.
    this.#failures = 0
    if (event.type === 'BOOKMARK') {
      this.#version = event.resourceVersion
      return
    }
    this.#version = event.object.metadata.resourceVersion ?? this.#version
    if (event.type === 'DELETED') this.#forget(event.object)
    else this.#keep(event.object)
  }

  #keep(object: KubeObject): void {
    const key = keyOf(object)
    const before = this.#objects.get(key)
    this.#objects.set(key, object)
    if (before === undefined) this.#options.onChange({ kind: 'added', object })
    else if (before.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew between two looks.
      this.#options.onChange({ kind: 'deleted', object: before })
      this.#options.onChange({ kind: 'added', object })
    } else if (before.metadata.resourceVersion !== object.metadata.resourceVersion)
      this.#options.onChange({ kind: 'changed', object, before })
  }

  #forget(object: KubeObject): void {
    if (this.#objects.delete(keyOf(object))) this.#options.onChange({ kind: 'deleted', object })
  }

  #failed(during: 'list' | 'watch', problem: KubeProblem): void {
    const { log, kind, onRestart } = this.#options
    this.#failures += 1
    log.warn({ kind: kind.kind, during, problem, failures: this.#failures }, 'a watch begins again')
    onRestart?.(problem)
  }

  async #pauseAfterFailure(): Promise<void> {
    const { clock, random } = this.#options
    await pause(clock, jitteredBackOffMs(reflectorBackOff, this.#failures, random), this.#closing.signal)
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}
