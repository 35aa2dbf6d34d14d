// The one way into the log for what clients write, on the leader. What provably ends soon goes straight through. Everything else is rehearsed first (rehearsal.ts), one
// after the other, on the very state on which it will be applied: so nothing is committed that would keep the nodes busy for ever. Two rules make it safe: nothing is
// judged while a change of the schema is under way, and a rehearsed write is only proposed when nothing else was proposed since its copy was made. (A little would not do:
// one row can be what an endless loop waits for.)
import { fail, type Result } from '../../runtime/result.ts'
import type { Refusal } from '../../contract/refusal.ts'
import type { Statement } from '../command/command.ts'
import type { Replica, ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { Rehearsal, RehearsalEnd, RehearsalLimit } from './rehearsal.ts'

export interface TurnstileWrite {
  readonly statements: readonly Statement[]
  readonly payload: Uint8Array
  readonly limit: RehearsalLimit
  /** Whom it is for: writes that must be rehearsed take turns by it. */
  readonly client: string
  readonly msLeft: () => number
  readonly isAbandoned: () => boolean
}

export type WriteEnd = Result<Applied, ReplicaProblem | Refusal>

/** Instructions that are known to end, a few hundred milliseconds of them, need no rehearsal. */
const shortCostMax = 5_000_000
/** Writes that wait for their rehearsal. */
const waitingMax = 256
/** Rehearsed on one copy. */
const batchMax = 16
/** Whoever has used so much of the rehearsals lately is served alone, and last. */
const usedMsMax = 100
const usedForgottenAfterMs = 10_000
const barrierMs = 1_000

interface Waiting {
  readonly write: TurnstileWrite
  readonly changesSchema: boolean
  readonly settle: (end: WriteEnd) => void
}

export class WriteTurnstile {
  readonly #rehearsal: Rehearsal
  /** What the next copy should have in it. */
  readonly #inFlight = new Set<Promise<unknown>>()
  #replica: Replica | undefined
  #closed: Promise<void> | undefined
  #waiting: Waiting[] = []
  #isRehearsing = false
  /** How often something was proposed that no rehearsal has seen. */
  #untried = 0
  #used = new Map<string, number>()
  #usedSinceMs = 0

  constructor(rehearsal: Rehearsal) {
    this.#rehearsal = rehearsal
  }

  async write(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    this.#watch(replica)
    while (this.#closed !== undefined) {
      if ((await inTime(this.#closed, write.msLeft())) === 'late') return late
    }
    const { cost, changesSchema } = this.#rehearsal.judge(write.statements)
    if (cost <= shortCostMax) return changesSchema ? this.#proposeChange(replica, write) : this.#proposeUntried(replica, write)
    if (this.#waiting.length >= waitingMax) return overloaded
    return new Promise((settle) => {
      this.#waiting.push({ write, changesSchema, settle })
      void this.#rehearseAll(replica)
    })
  }

  /** A new leader has entries that it has not applied yet, and cannot judge before it has. */
  #watch(replica: Replica): void {
    if (this.#replica === replica) return
    this.#replica = replica
    this.#close(appliedAll(replica))
    replica.onEvent((event) => {
      if (event.kind === 'became-leader') this.#close(appliedAll(replica))
    })
  }

  /** Nothing goes through, nor is judged, until then. */
  #close(until: Promise<unknown>): void {
    const before = this.#closed ?? Promise.resolve()
    const closed: Promise<void> = Promise.all([before, until]).then(() => {
      if (this.#closed === closed) this.#closed = undefined
    })
    this.#closed = closed
  }

  /** No rehearsal that is under way counts any more. */
  #proposeUntried(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    this.#untried += 1
    return this.#proposeLong(replica, write)
  }

  #propose(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    return replica.propose(write.payload, { timeoutMs: write.msLeft() })
  }

  async #rehearseAll(replica: Replica): Promise<void> {
    if (this.#isRehearsing) return
    this.#isRehearsing = true
    try {
      while (this.#waiting.length > 0) await this.#rehearseSome(replica)
    } finally {
      this.#isRehearsing = false
    }
  }

  async #rehearseSome(replica: Replica): Promise<void> {
    const batch = this.#take()
    const [first] = batch
    if (first === undefined) return
    const isSettled = await inTime(this.#settled(), first.write.msLeft())
    if (isSettled === 'late') {
      first.settle(late)
      this.#waiting.unshift(...batch.slice(1))
      return
    }
    const startedAtMs = performance.now()
    const outdated = await this.#rehearse(replica, batch)
    if (outdated.length === 0) return
    // Others have written meanwhile: once more, while they wait. It is known to end, and about when.
    const ms = Math.ceil(2 * (performance.now() - startedAtMs)) + 100
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#close(promise)
    try {
      await Promise.allSettled(this.#inFlight)
      const again = outdated.map((one) => ({
        ...one,
        write: { ...one.write, limit: { kind: 'clock', ms } as const },
        settle: retrying(one.settle),
      }))
      this.#waiting.unshift(...(await this.#rehearse(replica, again)))
    } finally {
      resolve()
    }
  }

  /** What was proposed is applied, and no change of the schema is under way. */
  async #settled(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed
    await Promise.allSettled(this.#inFlight)
  }

  /** Proposes each as it passes. Those that passed when something else had been proposed meanwhile are given back; those that were not tried wait again. */
  async #rehearse(replica: Replica, batch: readonly Waiting[]): Promise<readonly Waiting[]> {
    const outdated: Waiting[] = []
    const isBehind = this.#inFlight.size > 0
    const before = this.#untried
    let sinceMs = performance.now()
    const pass = (one: Waiting): void => {
      this.#use(one.write.client, performance.now() - sinceMs)
      sinceMs = performance.now()
      if (outdated.length > 0 || isBehind || this.#untried > before) outdated.push(one)
      else this.#proposeRehearsed(replica, one)
    }
    const end = await this.#rehearsal.rehearse(
      batch.map(({ write: { payload, limit } }) => ({ payload, limit })),
      (at) => {
        const one = batch[at]
        if (one !== undefined) pass(one)
      },
    )
    this.#conclude(replica, { batch, end, ms: performance.now() - sinceMs })
    return outdated
  }

  #conclude(
    replica: Replica,
    { batch, end, ms }: { readonly batch: readonly Waiting[]; readonly end: RehearsalEnd; readonly ms: number },
  ): void {
    switch (end.kind) {
      case 'done':
        return
      case 'interrupted':
        this.#waiting.unshift(...batch.slice(end.passed))
        return
      case 'unavailable':
        for (const one of batch) this.#proposeRehearsed(replica, one)
        return
      case 'ended': {
        const culprit = batch[end.at]
        if (culprit !== undefined) {
          this.#use(culprit.write.client, ms)
          culprit.settle(fail(end.problem))
        }
        this.#waiting.unshift(...batch.slice(end.at + 1))
      }
    }
  }

  #proposeRehearsed(replica: Replica, { write, changesSchema, settle }: Waiting): void {
    void (changesSchema ? this.#proposeChange(replica, write) : this.#proposeLong(replica, write)).then(settle)
  }

  #proposeChange(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    this.#untried += 1
    const proposed = this.#propose(replica, write)
    this.#close(this.#applied(replica, proposed))
    return proposed
  }

  #proposeLong(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    const proposed = this.#propose(replica, write)
    void this.#applied(replica, proposed)
    return proposed
  }

  /** Resolves when it is known to be in the data, or never to be. The next copy waits for it. */
  #applied(replica: Replica, proposed: Promise<WriteEnd>): Promise<void> {
    const applied: Promise<void> = proposed
      .then(
        (end) => (isUnknown(end) ? appliedAll(replica) : undefined),
        () => undefined, // a fault of ours: whoever proposed it hears of it
      )
      .finally(() => this.#inFlight.delete(applied))
    this.#inFlight.add(applied)
    return applied
  }

  /** The next ones: first those of clients that have used little, so many together; of the others one. */
  #take(): readonly Waiting[] {
    if (performance.now() - this.#usedSinceMs > usedForgottenAfterMs) {
      this.#used.clear()
      this.#usedSinceMs = performance.now()
    }
    const used = ({ write }: Waiting): number => this.#used.get(write.client) ?? 0
    const isOver = ({ write }: Waiting): boolean => write.isAbandoned() || write.msLeft() <= 0
    for (const one of this.#waiting.filter(isOver)) one.settle(late)
    const inTurn = this.#waiting.filter((one) => !isOver(one)).sort((left, right) => used(left) - used(right))
    const light = inTurn.findIndex((one) => used(one) > usedMsMax)
    const count = Math.min(batchMax, light === -1 ? inTurn.length : Math.max(1, light))
    this.#waiting = inTurn.slice(count)
    return inTurn.slice(0, count)
  }

  #use(client: string, ms: number): void {
    this.#used.set(client, (this.#used.get(client) ?? 0) + ms)
  }
}

/** The limit of the second time is ours, not the client's. */
function retrying(settle: (end: WriteEnd) => void): (end: WriteEnd) => void {
  return (end) => settle(!end.ok && end.problem.code === 'statement_timeout' ? overloaded : end)
}

/** As long as this node leads. */
async function appliedAll(replica: Replica): Promise<void> {
  while (replica.leads()) {
    const applied = await replica.whenApplied(replica.status().lastIndex, { timeoutMs: barrierMs })
    if (applied.ok || applied.problem.code !== 'deadline') return
  }
}

function isUnknown(end: WriteEnd): boolean {
  return !end.ok && end.problem.code === 'outcome_unknown'
}

async function inTime(promise: Promise<void>, timeoutMs: number): Promise<'done' | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), Math.min(timeoutMs, 2 ** 31 - 1)).unref()
  })
  try {
    return await Promise.race([promise.then(() => 'done' as const), timeout])
  } finally {
    clearTimeout(timer)
  }
}

const late: WriteEnd = fail({ code: 'deadline', message: 'not answered within the timeout; nothing was changed' })
const overloaded: WriteEnd = fail({ code: 'overloaded', message: 'too many writes wait to be tried before they are committed; try again' })
