// How often clients may have the database written anew. All other writes wait for a VACUUM, and whoever may write may send one: without a pace, one client that sends nothing else
// would hold up everybody (ADR 21).
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Refusal } from '../../contract/refusal.ts'

/** VACUUMs may take one part in so many of the time. */
const share = 10
/** So much may be owed when another one begins: three seconds of VACUUM, which is many of small databases in a row, or two of a larger one. */
const owedMsMax = 30_000

/** Of one VACUUM; to be ended whatever becomes of it. */
export interface VacuumTurn {
  /** From now on others wait for it. */
  begin(): void
  /** It is applied here, or never will be. */
  end(): void
}

export class VacuumPace {
  readonly #nowMs: () => number
  #isTaken = false
  /** When nothing is owed any more. */
  #paidAtMs = -Infinity

  /** The clock of the process: a leader does not know how long VACUUMs of others before it have taken. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  take(): Result<VacuumTurn, Refusal> {
    const waitMs = this.#paidAtMs - this.#nowMs() - owedMsMax
    if (this.#isTaken) return tooSoon('another VACUUM is under way; nothing was changed')
    if (waitMs > 0) return tooSoon(`all writes wait for a VACUUM, and the last ones took long; try again in ${Math.ceil(waitMs / 1000)}s`)
    this.#isTaken = true
    let beganAtMs: number | undefined
    return ok({
      begin: () => {
        beganAtMs = this.#nowMs()
      },
      end: () => {
        this.#isTaken = false
        if (beganAtMs === undefined) return
        const endedAtMs = this.#nowMs()
        this.#paidAtMs = Math.max(endedAtMs, this.#paidAtMs) + share * (endedAtMs - beganAtMs)
      },
    })
  }
}

function tooSoon(message: string): Result<never, Refusal> {
  return fail({ code: 'vacuum_too_soon', message })
}
