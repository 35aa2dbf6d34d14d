// Files that were on their way through the log when whoever sent them went away: what has come of one lies in every node's database until somebody gives it up. The leader
// does, after a while, and has the database written anew when loads that were given up have left much of it empty.
import type { Logger } from '../../runtime/log.ts'
import type { Clock } from '../replica/clock.ts'
import type { LeaderDoor } from './leader-door.ts'

export interface AbandonedLoadsOptions {
  readonly door: LeaderDoor
  /** As the database has it now; undefined: it cannot be asked at the moment. */
  readonly roomLeft: () =>
    | { readonly load: { readonly id: string; readonly received: number } | undefined; readonly isWorthVacuum: boolean }
    | undefined
  /** The bytes of an entry. */
  readonly encode: { readonly abort: (load: string) => Uint8Array; readonly vacuum: () => Uint8Array }
  readonly clock: Clock
  readonly logger: Logger
}

const lookEveryMs = 60_000
/** Whoever sends a file gives it up itself after a minute without progress, and waits five for its last step (node/api/load-steps.ts). */
const stillMsMax = 10 * 60_000
/** A database of some gigabytes is written anew meanwhile. */
const proposeMsMax = 10 * 60_000

export class AbandonedLoads {
  readonly #options: AbandonedLoadsOptions
  readonly #logger: Logger
  readonly #stop: () => void
  #seen: { readonly id: string; readonly received: number; readonly sinceMs: number } | undefined
  #isProposing = false

  constructor(options: AbandonedLoadsOptions) {
    this.#options = options
    this.#logger = options.logger.child({ part: 'abandoned-loads' })
    this.#stop = options.clock.every(lookEveryMs, () => this.#look())
  }

  close(): void {
    this.#stop()
  }

  #look(): void {
    const { door, roomLeft, encode, clock } = this.#options
    const room = door.leads() ? roomLeft() : undefined
    if (room === undefined) this.#seen = undefined
    if (room === undefined || this.#isProposing) return
    const { load, isWorthVacuum } = room
    if (load === undefined) this.#seen = undefined
    else if (load.id !== this.#seen?.id || load.received !== this.#seen.received)
      this.#seen = { id: load.id, received: load.received, sinceMs: clock.monotonicMs() }
    if (load !== undefined && this.#seen !== undefined && clock.monotonicMs() - this.#seen.sinceMs >= stillMsMax)
      return void this.#propose(
        encode.abort(load.id),
        { load: load.id, bytes: load.received },
        'a load that nobody goes on with is given up',
      )
    if (load === undefined && isWorthVacuum) void this.#propose(encode.vacuum(), {}, 'what loads have left is given back to the disk')
  }

  async #propose(payload: Uint8Array, facts: Readonly<Record<string, unknown>>, text: string): Promise<void> {
    this.#isProposing = true
    const proposed = await this.#options.door.propose(payload, { timeoutMs: proposeMsMax })
    this.#isProposing = false
    if (proposed.ok) this.#logger.info(facts, text)
    else this.#logger.warn({ ...facts, code: proposed.problem.code }, 'the room of a load could not be given back yet')
  }
}
