// From events to reconciles: every watched kind says which cluster an object belongs to, the cluster's name goes into the queue, and the queue calls `reconcile`
// until it is content. Nothing of an event but the name is used: what `reconcile` acts on it reads itself.
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Kind, Kube, KubeObject, KubeProblem } from '../kube/kube.ts'
import { Reflector } from './reflector.ts'
import { WorkQueue } from './work-queue.ts'
import type { WorkOutcome } from './work-queue.ts'

/** Which cluster: the queue's key and all that `reconcile` is told. */
export interface ClusterName {
  readonly namespace: string
  readonly name: string
}

export interface WatchedKind {
  readonly kind: Kind
  /** Only objects with these labels; everything of the kind when absent. */
  readonly labelSelector?: string
  /** Only the object of this name. */
  readonly fieldSelector?: string
  /** The clusters that an object concerns; none when it is no business of ours. */
  readonly clustersOf: (object: KubeObject) => readonly ClusterName[]
}

/** What happened, for metrics. */
export type ControllerEvent =
  | { readonly kind: 'reconciled'; readonly cluster: ClusterName; readonly outcome: WorkOutcome['kind']; readonly durationMs: number }
  | { readonly kind: 'watch_restarted'; readonly watched: string; readonly problem: KubeProblem['code'] }

export interface ControllerOptions {
  readonly kube: Kube
  /** All namespaces when absent. */
  readonly namespace?: string
  readonly watches: readonly WatchedKind[]
  /** Brings one cluster a step nearer to what it shall be; `requeueAfterMs` when it must be looked at again without an event. */
  readonly reconcile: (cluster: ClusterName) => Promise<{ readonly requeueAfterMs?: number }>
  readonly clock: Clock
  /** Gives [0, 1). */
  readonly random: () => number
  readonly log: Logger
  /** Clusters that are reconciled at the same time. */
  readonly workers?: number
  readonly onEvent?: (event: ControllerEvent) => void
}

/** Reconciles mostly wait for the API server and the members. */
const workersDefault = 10

export class Controller {
  readonly #options: ControllerOptions
  readonly #queue: WorkQueue
  readonly #reflectors: readonly Reflector[]

  constructor(options: ControllerOptions) {
    this.#options = options
    const { clock, random, workers = workersDefault } = options
    this.#queue = new WorkQueue({ clock, random, workers, work: (key) => this.#work(key) })
    this.#reflectors = options.watches.map((watched) => this.#reflect(watched))
  }

  /** Resolves when every watched kind has been listed once. */
  async synced(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.synced))
  }

  /** Clusters that wait for a worker, and that have one. */
  get load(): { readonly waiting: number; readonly running: number } {
    return { waiting: this.#queue.depth, running: this.#queue.active }
  }

  /** Looks at `cluster` again after `delayMs`, for events that do not come from the API server. */
  enqueue(cluster: ClusterName, delayMs = 0): void {
    if (delayMs === 0) this.#queue.add(keyOf(cluster))
    else this.#queue.addAfter(keyOf(cluster), delayMs)
  }

  /** Ends the watches and waits for the reconciles that run. */
  async close(): Promise<void> {
    await Promise.all([this.#queue.close(), ...this.#reflectors.map((reflector) => reflector.close())])
  }

  #reflect(watched: WatchedKind): Reflector {
    const { kube, clock, random, log, namespace, onEvent } = this.#options
    const { kind, labelSelector, fieldSelector, clustersOf } = watched
    return new Reflector({
      kube,
      kind,
      clock,
      random,
      log,
      select: {
        ...(namespace === undefined ? {} : { namespace }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
      },
      onChange: (change) => {
        // An object that changed hands concerns its former cluster too.
        const objects = change.kind === 'changed' ? [change.before, change.object] : [change.object]
        const keys = new Set(objects.flatMap(clustersOf).map(keyOf))
        for (const key of keys) this.#queue.add(key)
      },
      onRestart: (problem) => onEvent?.({ kind: 'watch_restarted', watched: kind.kind, problem: problem.code }),
    })
  }

  async #work(key: string): Promise<WorkOutcome> {
    const { clock, onEvent } = this.#options
    const cluster = clusterOf(key)
    const beganMs = clock.monotonicMs()
    const outcome = await this.#reconcile(cluster)
    onEvent?.({ kind: 'reconciled', cluster, outcome: outcome.kind, durationMs: clock.monotonicMs() - beganMs })
    return outcome
  }

  async #reconcile(cluster: ClusterName): Promise<WorkOutcome> {
    try {
      const { requeueAfterMs } = await this.#options.reconcile(cluster)
      return requeueAfterMs === undefined ? { kind: 'done' } : { kind: 'again', afterMs: requeueAfterMs }
    } catch (err) {
      // A bug ends a program of ours everywhere else. Here it would let one resource that provokes it, written by anybody who may write resources, stop the care
      // for all others: the cluster backs off alone, loudly.
      this.#options.log.error({ err, cluster }, 'a reconcile failed')
      return { kind: 'failed' }
    }
  }
}

function keyOf(cluster: ClusterName): string {
  return `${cluster.namespace}/${cluster.name}`
}

function clusterOf(key: string): ClusterName {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}
