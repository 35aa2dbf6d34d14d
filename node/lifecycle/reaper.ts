// The leader's reaper (-raft-reap-node-timeout, -raft-reap-read-only-node-timeout): looks now and then, and removes one member at a time by the rule of reaping-rule.ts.
import type { Logger } from '../../runtime/log.ts'
import type { CountingMetric, Metrics } from '../../runtime/metrics.ts'
import type { NodeId } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'
import { keepVigil, whomToReap, type ReapingRule, type Vigil } from './reaping-rule.ts'

export interface ReaperOptions {
  readonly replica: Pick<Replica, 'status' | 'changeMembership'>
  readonly voterMs: number | undefined
  readonly nonVoterMs: number | undefined
  readonly expectedVoters: number
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

const outcomes = ['removed', 'not_removed'] as const
const looksPerTimeout = 10
const intervalMsMax = 1_000
const removeMsMax = 10_000

export class Reaper {
  readonly #options: ReaperOptions
  readonly #rule: ReapingRule
  readonly #logger: Logger
  readonly #reaped: CountingMetric<{ readonly outcome: typeof outcomes }>
  readonly #stop: () => void
  #vigil: Vigil | undefined
  #isRemoving = false

  constructor(options: ReaperOptions) {
    const { voterMs, nonVoterMs, expectedVoters } = options
    const shortestMs = Math.min(voterMs ?? Infinity, nonVoterMs ?? Infinity)
    this.#options = options
    this.#rule = { voterMs, nonVoterMs, expectedVoters, intervalMs: Math.min(intervalMsMax, shortestMs / looksPerTimeout) }
    this.#logger = options.logger.child({ part: 'reaper' })
    this.#reaped = options.metrics.counter({
      name: 'securesql_members_reaped_total',
      help: 'Members that this leader wanted to remove because they were silent for too long.',
      labels: { outcome: outcomes },
    })
    this.#stop = shortestMs === Infinity ? () => {} : options.clock.every(this.#rule.intervalMs, () => this.#look())
  }

  close(): void {
    this.#stop()
  }

  #look(): void {
    const sample = { nowMs: this.#options.clock.monotonicMs(), status: this.#options.replica.status() }
    this.#vigil = keepVigil(this.#vigil, sample, this.#rule)
    if (this.#vigil === undefined || this.#isRemoving) return
    const id = whomToReap(this.#vigil, sample, this.#rule)
    if (id !== undefined) void this.#remove(id, sample.nowMs - (this.#vigil.silentSinceMs.get(id) ?? sample.nowMs))
  }

  async #remove(id: NodeId, silentMs: number): Promise<void> {
    this.#isRemoving = true
    const removed = await this.#options.replica.changeMembership({ kind: 'remove', id }, { timeoutMs: removeMsMax })
    this.#isRemoving = false
    this.#reaped.add({ outcome: removed.ok ? 'removed' : 'not_removed' })
    const about = { id, silentSeconds: Math.round(silentMs / 1000) }
    if (removed.ok) this.#logger.warn(about, 'silent member removed from the cluster')
    else this.#logger.warn({ ...about, code: removed.problem.code }, 'silent member could not be removed')
  }
}
