// The one door into the log for what changes the state, on the leader. Whoever has judged a write by the schema goes through an open door at once. Whoever changes what such
// judgements go by (the schema, foreign keys, statistics, the whole database), or needs to know exactly what is in the log, closes the door first: then what went through is
// applied, or known never to be, and nothing else goes through until he opens it again.
import { setTimeout as delay } from 'node:timers/promises'
import type { Replica, ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { Refusal } from '../../contract/refusal.ts'
import type { Result } from '../../runtime/result.ts'

export type WriteEnd = Result<Applied, ReplicaProblem | Refusal>

export interface Closing {
  /** When it has closed the door alone, and nothing that went through is under way. */
  readonly ready: Promise<void>
  open(): void
}

const barrierMs = 1_000
/** Where too many wait already. */
const crowdedMs = 50

export class LogDoor {
  readonly #inFlight = new Set<Promise<void>>()
  #closed: Promise<void> | undefined
  #last: Closing | undefined
  #passed = 0

  /** Undefined: it is open. Else it may be closed again when this resolves. */
  get closed(): Promise<void> | undefined {
    return this.#closed
  }

  /** Something that went through is not known to be applied. */
  get isBusy(): boolean {
    return this.#inFlight.size > 0
  }

  /** How often something went through. */
  get passed(): number {
    return this.#passed
  }

  /** Nobody has closed it, or nobody behind these. */
  isOpenTo(closings: ReadonlySet<Closing>): boolean {
    return this.#closed === undefined || (this.#last !== undefined && closings.has(this.#last))
  }

  /** What went through so far is applied, and the door is open. More may have gone through meanwhile. */
  async settled(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed
    await Promise.allSettled(this.#inFlight)
  }

  /** In the order of the calls. It must be opened again. */
  close(): Closing {
    const before = this.#closed
    const { promise, resolve } = Promise.withResolvers<void>()
    const closed: Promise<void> = Promise.all([before, promise]).then(() => {
      if (this.#closed === closed) this.#closed = undefined
    })
    this.#closed = closed
    const closing = { ready: this.#emptied(before), open: resolve }
    this.#last = closing
    return closing
  }

  /** Resolves when it is known to be in the data, or never to be. */
  pass(replica: Replica, proposed: Promise<WriteEnd>): Promise<void> {
    this.#passed += 1
    const end = (): void => void this.#inFlight.delete(applied)
    // One promise for each write: `finally` and an async function make several, and this is passed by all of them.
    const applied: Promise<void> = proposed.then(
      (ended) => (!ended.ok && ended.problem.code === 'outcome_unknown' ? appliedAll(replica).finally(end) : end()),
      end, // a fault of ours: whoever proposed it hears of it
    )
    this.#inFlight.add(applied)
    return applied
  }

  async #emptied(before: Promise<void> | undefined): Promise<void> {
    await before
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight)
  }
}

/** Whatever is in the log now; as long as this node leads. */
export async function appliedAll(replica: Replica): Promise<void> {
  while (replica.leads()) {
    const applied = await replica.whenApplied(replica.status().lastIndex, { timeoutMs: barrierMs })
    if (applied.ok) return
    if (applied.problem.code === 'overloaded') await delay(crowdedMs)
    else if (applied.problem.code !== 'deadline') return
  }
}
