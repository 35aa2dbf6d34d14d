// Which of several operators acts: the holder of a coordination.k8s.io/v1 Lease. Clocks of different machines are never compared: a challenger takes over only
// after it has itself seen the Lease unchanged for the whole lease time; the holder reckons its own deadline by its monotonic clock from *before* it asked
// for the renewal, and stops acting at the renew deadline, well before anybody else may begin.
import assert from 'node:assert/strict'
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import { pause } from './clock.ts'
import type { Kube, KubeObject, KubeResult, ObjectRef } from '../kube/kube.ts'

/** client-go's defaults. */
export const leaseTimes = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 } as const
assert(
  leaseTimes.leaseMs > leaseTimes.renewDeadlineMs && leaseTimes.renewDeadlineMs > 2 * leaseTimes.retryMs,
  'a holder must stop before its Lease ends, after more than one try',
)

export interface LeaderLeaseOptions {
  readonly kube: Kube
  readonly namespace: string
  /** Name of the Lease. */
  readonly name: string
  /** Who we are, unique among all that want the Lease. */
  readonly identity: string
  readonly clock: Clock
  readonly log: Logger
  /** Runs while we hold the Lease. When `signal` aborts the Lease is lost or given up: nothing may be begun any more. */
  readonly lead: (signal: AbortSignal) => Promise<void>
}

interface LeaseSpec {
  readonly holder: string
  readonly leaseMs: number
  readonly transitions: number
  readonly acquireTime: string | undefined
}

interface Seen {
  readonly version: string
  readonly atMs: number
}

export class LeaderLease {
  readonly #options: LeaderLeaseOptions
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #seen: Seen | undefined
  #leading = false

  constructor(options: LeaderLeaseOptions) {
    this.#options = options
    this.#ended = this.#run()
  }

  get leading(): boolean {
    return this.#leading
  }

  /** Ends our leadership, waits for `lead` to return, then frees the Lease so that another need not wait for its end. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    while (!this.#closing.signal.aborted) {
      const askedMs = clock.monotonicMs()
      const held = await this.#acquire()
      if (held !== undefined) await this.#leadWith(held, askedMs)
      await pause(clock, leaseTimes.retryMs, this.#closing.signal)
    }
  }

  async #leadWith(lease: KubeObject, askedMs: number): Promise<void> {
    const { log, identity, lead, clock } = this.#options
    // The answer may have come too late to begin at all.
    if (clock.monotonicMs() - askedMs >= leaseTimes.renewDeadlineMs) return
    const lost = new AbortController()
    this.#leading = true
    log.info({ identity }, 'became the leader')
    const work = lead(lost.signal)
    const last = await this.#renewUntilLost(lease, askedMs)
    lost.abort()
    this.#leading = false
    log.info({ identity, given: last !== undefined }, 'no longer the leader')
    await work
    // Freed only when nothing of ours runs any more.
    if (last !== undefined) await this.#release(last)
  }

  /** Renews until asked to close (gives the Lease as last written) or until the deadline passed or somebody else holds it (undefined). */
  async #renewUntilLost(lease: KubeObject, askedMs: number): Promise<KubeObject | undefined> {
    const { clock } = this.#options
    let current = lease
    let deadlineMs = askedMs + leaseTimes.renewDeadlineMs
    for (;;) {
      await pause(clock, Math.min(leaseTimes.retryMs, Math.max(deadlineMs - clock.monotonicMs(), 0)), this.#closing.signal)
      if (this.#closing.signal.aborted) return current
      const beganMs = clock.monotonicMs()
      if (beganMs >= deadlineMs) return undefined
      const renewed = await this.#beforeDeadline(this.#renew(current), deadlineMs)
      if (renewed === 'late') return undefined
      if (renewed.ok) {
        current = renewed.value
        deadlineMs = beganMs + leaseTimes.renewDeadlineMs
      } else if (renewed.problem.code === 'conflict' || renewed.problem.code === 'not_found') {
        const { holder, lease: fresh } = await this.#look(deadlineMs)
        if (fresh === undefined || holder !== this.#options.identity) return undefined
        current = fresh
      } else this.#options.log.warn({ problem: renewed.problem }, 'the lease could not be renewed')
    }
  }

  /** A request that hangs must not make us lead beyond the deadline. */
  async #beforeDeadline<Value>(request: Promise<Value>, deadlineMs: number): Promise<Value | 'late'> {
    const { clock } = this.#options
    const settled = new AbortController()
    const late = pause(clock, Math.max(deadlineMs - clock.monotonicMs(), 0), settled.signal).then(() => 'late' as const)
    const first = await Promise.race([request, late])
    settled.abort()
    return first
  }

  /** After a conflict: a request of ours may have been carried out although its answer was lost. */
  async #look(deadlineMs: number): Promise<{ readonly holder: string; readonly lease: KubeObject | undefined }> {
    const found = await this.#beforeDeadline(this.#options.kube.get(this.#ref()), deadlineMs)
    if (found === 'late' || !found.ok) return { holder: '', lease: undefined }
    return { holder: specOf(found.value).holder, lease: found.value }
  }

  /** The Lease with us as its holder, or undefined when somebody else has it or nothing could be written. */
  async #acquire(): Promise<KubeObject | undefined> {
    const { kube, identity, log } = this.#options
    const found = await kube.get(this.#ref())
    if (!found.ok) {
      if (found.problem.code === 'not_found') return valueOf(await kube.create(this.#written(undefined)))
      log.warn({ problem: found.problem }, 'the lease could not be read')
      return undefined
    }
    const { holder, leaseMs } = specOf(found.value)
    if (holder !== '' && holder !== identity && !this.#unchangedFor(found.value, leaseMs)) return undefined
    return valueOf(await kube.replace(this.#written(found.value)))
  }

  /** Whether we ourselves have seen this very version for that long. */
  #unchangedFor(lease: KubeObject, leaseMs: number): boolean {
    const version = `${lease.metadata.uid ?? ''} ${lease.metadata.resourceVersion ?? ''}`
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#seen?.version !== version) this.#seen = { version, atMs: nowMs }
    return nowMs - this.#seen.atMs >= leaseMs
  }

  #renew(lease: KubeObject): Promise<KubeResult<KubeObject>> {
    return this.#options.kube.replace(this.#written(lease))
  }

  async #release(lease: KubeObject): Promise<void> {
    const spec = { ...leaseSpecJson(specOf(lease)), holderIdentity: '', leaseDurationSeconds: 1, renewTime: this.#microTime() }
    const released = await this.#options.kube.replace({ ...lease, spec })
    // Somebody else holds it by now, or will take it when its time is over.
    if (!released.ok) this.#options.log.warn({ problem: released.problem }, 'the lease could not be freed')
  }

  #written(before: KubeObject | undefined): KubeObject {
    const { identity, namespace, name } = this.#options
    const ref = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }
    const now = this.#microTime()
    const old = before === undefined ? undefined : specOf(before)
    const ours = old?.holder === identity
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: leaseTimes.leaseMs / 1_000,
      acquireTime: ours ? (old.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: old === undefined ? 0 : old.transitions + (ours ? 0 : 1),
    }
    return { ...ref, metadata: before?.metadata ?? { name, namespace }, spec }
  }

  #ref(): ObjectRef {
    const { namespace, name } = this.#options
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name }
  }

  /** Kubernetes' MicroTime. */
  #microTime(): string {
    return new Date(this.#options.clock.wallMs()).toISOString().replace('Z', '000Z')
  }
}

function valueOf(result: KubeResult<KubeObject>): KubeObject | undefined {
  return result.ok ? result.value : undefined
}

/** What a Lease says; what another program left out or wrote wrongly reads as a Lease that nobody holds for the usual time. */
function specOf(lease: KubeObject): LeaseSpec {
  const spec: { readonly [field: string]: unknown } =
    typeof lease['spec'] === 'object' && lease['spec'] !== null ? { ...lease['spec'] } : {}
  const { holderIdentity, leaseDurationSeconds, leaseTransitions, acquireTime } = spec
  return {
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    leaseMs: typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds * 1_000 : leaseTimes.leaseMs,
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
    acquireTime: typeof acquireTime === 'string' ? acquireTime : undefined,
  }
}

function leaseSpecJson(spec: LeaseSpec): { readonly [field: string]: unknown } {
  return { leaseTransitions: spec.transitions, ...(spec.acquireTime === undefined ? {} : { acquireTime: spec.acquireTime }) }
}
