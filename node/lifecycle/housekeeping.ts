// What the leader proposes by itself, so that all nodes have it at the same entry: the setting of foreign keys (-fk) when the cluster's is another than its own, and
// PRAGMA optimize now and then (-auto-optimize-int). The others follow the cluster, whatever their flags say, and a node that would have it otherwise says so.
import type { Logger } from '../../runtime/log.ts'
import type { Result } from '../../runtime/result.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'

export interface HousekeepingOptions {
  readonly replica: Pick<Replica, 'leads'> & {
    /** The way of all writes: what they cost may be another behind this one. */
    propose(payload: Uint8Array, options: { readonly timeoutMs: number }): Promise<Result<Applied, { readonly code: string }>>
  }
  /** The flag. */
  readonly foreignKeys: boolean
  /** 0: never. */
  readonly optimizeIntervalMs: number
  /** As the database has it now. */
  readonly clusterForeignKeys: () => boolean
  /** The bytes of an entry for a statement. */
  readonly encode: (upkeep: 'foreign-keys-on' | 'foreign-keys-off' | 'optimize') => Uint8Array
  readonly clock: Clock
  readonly logger: Logger
}

const intervalMs = 1_000
/** What does not come through is tried again. */
const proposeMsMax = 10_000

export class Housekeeping {
  readonly #options: HousekeepingOptions
  readonly #logger: Logger
  readonly #stop: () => void
  #optimizedAtMs: number
  #isProposing = false
  #hasWarned = false

  constructor(options: HousekeepingOptions) {
    this.#options = options
    this.#logger = options.logger.child({ part: 'housekeeping' })
    this.#optimizedAtMs = options.clock.monotonicMs()
    this.#stop = options.clock.every(intervalMs, () => this.#look())
  }

  close(): void {
    this.#stop()
  }

  #look(): void {
    const { replica, foreignKeys, clusterForeignKeys, optimizeIntervalMs, clock } = this.#options
    const differs = clusterForeignKeys() !== foreignKeys
    if (!differs) this.#hasWarned = false
    if (!replica.leads()) return differs ? this.#warn() : undefined
    if (this.#isProposing) return undefined
    if (differs) return void this.#propose(foreignKeys ? 'foreign-keys-on' : 'foreign-keys-off')
    if (optimizeIntervalMs === 0 || clock.monotonicMs() - this.#optimizedAtMs < optimizeIntervalMs) return undefined
    this.#optimizedAtMs = clock.monotonicMs()
    return void this.#propose('optimize')
  }

  /** Once, until it has been as the flag says. */
  #warn(): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#logger.warn(
      { foreignKeys: !this.#options.foreignKeys },
      "foreign keys are as the cluster's leader has set them, not as -fk says here",
    )
  }

  async #propose(upkeep: 'foreign-keys-on' | 'foreign-keys-off' | 'optimize'): Promise<void> {
    this.#isProposing = true
    const proposed = await this.#options.replica.propose(this.#options.encode(upkeep), { timeoutMs: proposeMsMax })
    this.#isProposing = false
    if (proposed.ok) this.#logger.info({ upkeep }, 'upkeep applied')
    else this.#logger.warn({ upkeep, code: proposed.problem.code }, 'upkeep could not be proposed')
  }
}
