// What the leader proposes by itself, so that all nodes have it at the same entry: the setting of foreign keys (-fk) when the cluster's is another than its own,
// PRAGMA optimize (-auto-optimize-int) and VACUUM (-auto-vacuum-int) now and then. The others follow the cluster, whatever their flags say, and a node that would have it otherwise says so.
import type { Logger } from '../../runtime/log.ts'
import type { Clock } from '../replica/clock.ts'
import type { LeaderDoor } from './leader-door.ts'

type Upkeep = 'foreign-keys-on' | 'foreign-keys-off' | 'optimize' | 'vacuum'

export interface HousekeepingOptions {
  readonly door: LeaderDoor
  /** The flag. */
  readonly foreignKeys: boolean
  /** 0: never. */
  readonly optimizeIntervalMs: number
  /** 0: never. */
  readonly vacuumIntervalMs: number
  /** As the database has it now. */
  readonly clusterForeignKeys: () => boolean
  /** Likewise: the time of the last VACUUM, or else of the first command; 0: there was none. */
  readonly clusterVacuumedAtMs: () => number
  /** The bytes of an entry for a statement. */
  readonly encode: (upkeep: Upkeep) => Uint8Array
  readonly clock: Clock
  readonly logger: Logger
}

const intervalMs = 1_000
/** What does not come through is tried again. */
const proposeMsMax = 10_000
/** A database of some gigabytes is written anew meanwhile. */
const vacuumMsMax = 10 * 60_000
/** One that did not come through may still be applied: a second one behind it would be in vain. */
const vacuumAgainMs = 60_000

export class Housekeeping {
  readonly #options: HousekeepingOptions
  readonly #logger: Logger
  readonly #stop: () => void
  #optimizedAtMs: number
  #vacuumTriedAtMs = -Infinity
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
    const { door, foreignKeys, clusterForeignKeys, optimizeIntervalMs, clock } = this.#options
    const differs = clusterForeignKeys() !== foreignKeys
    if (!differs) this.#hasWarned = false
    if (!door.leads()) return differs ? this.#warn() : undefined
    if (this.#isProposing) return undefined
    if (differs) return void this.#propose(foreignKeys ? 'foreign-keys-on' : 'foreign-keys-off')
    if (this.#isVacuumDue()) {
      this.#vacuumTriedAtMs = clock.monotonicMs()
      return void this.#propose('vacuum')
    }
    if (optimizeIntervalMs === 0 || clock.monotonicMs() - this.#optimizedAtMs < optimizeIntervalMs) return undefined
    this.#optimizedAtMs = clock.monotonicMs()
    return void this.#propose('optimize')
  }

  /** By the clock on the wall, because the last time outlives the process. */
  #isVacuumDue(): boolean {
    const { vacuumIntervalMs, clusterVacuumedAtMs, clock } = this.#options
    const vacuumedAtMs = clusterVacuumedAtMs()
    if (vacuumIntervalMs === 0 || vacuumedAtMs === 0 || clock.wallMs() - vacuumedAtMs < vacuumIntervalMs) return false
    return clock.monotonicMs() - this.#vacuumTriedAtMs >= Math.min(vacuumAgainMs, vacuumIntervalMs)
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

  async #propose(upkeep: Upkeep): Promise<void> {
    this.#isProposing = true
    const proposed = await this.#options.door.propose(this.#options.encode(upkeep), {
      timeoutMs: upkeep === 'vacuum' ? vacuumMsMax : proposeMsMax,
    })
    this.#isProposing = false
    if (proposed.ok) this.#logger.info({ upkeep }, 'upkeep applied')
    else this.#logger.warn({ upkeep, code: proposed.problem.code }, 'upkeep could not be proposed')
  }
}
