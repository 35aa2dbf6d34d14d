// The one way into the log for everything that changes the state, on the leader. What provably ends soon goes straight through. Everything else of clients is rehearsed first
// (rehearsal.ts), one after the other, on the very state on which it will be applied: so nothing is committed that would keep the nodes busy for ever. Two rules make it safe:
// nothing is judged while something is under way that judgements go by (log-door.ts), and what was rehearsed enters the log only right behind the entry up to which its copy
// went. (A little more would not do: one row can be what an endless loop waits for.)
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fail } from '../../runtime/result.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Statement } from '../command/command.ts'
import { upkeepOf } from '../command/upkeep.ts'
import type { EntryPlace, Replica } from '../replica/replica-port.ts'
import { inTime } from '../../runtime/in-time.ts'
import { LogDoor, appliedAll, type Closing, type WriteEnd } from './log-door.ts'
import { RehearsalTurns, type Turn } from './rehearsal-turns.ts'
import type { OnPassed, Rehearsal, RehearsalEnd, RehearsalLimit, RehearsedWrite } from './rehearsal.ts'
import { VacuumPace } from './vacuum-pace.ts'

interface Proposal {
  readonly payload: Uint8Array
  readonly msLeft: () => number
}

export interface TurnstileWrite extends Proposal {
  readonly statements: readonly Statement[]
  readonly limit: RehearsalLimit
  /** Whom it is for: writes that must be rehearsed take turns by it. */
  readonly client: string
  readonly isAbandoned: () => boolean
}

/** What no client has written: a step of a load, upkeep. `judgements`: what a write costs may be another behind it. */
export interface OwnEntry extends Proposal {
  readonly changes: 'data' | 'judgements'
}

/** Instructions that are known to end, a few hundred milliseconds of them, need no rehearsal. */
const shortCostMax = 5_000_000
/** So long everybody may wait for a rehearsal, of clients whose writes have not taken longer lately: most have passed by then, and need no second one. */
const quickMsMax = 50
const readyMsMax = 10_000
const payloadBytesLarge = 64 * 1024
/** Writes that wait for their rehearsal. */
const waitingMax = 256

interface Waiting {
  readonly write: TurnstileWrite
  readonly changesSchema: boolean
  readonly settle: (end: WriteEnd) => void
  /** A fault of ours: whether anything was changed is not known. */
  readonly reject: (error: unknown) => void
}

/** How a batch is tried. */
interface Try {
  readonly batch: readonly Waiting[]
  /** The door may be closed by these. */
  readonly closings: Set<Closing>
  /** Instead of the clients' limits: they have passed once. */
  readonly againMsMax?: number
}

export class WriteTurnstile {
  readonly #rehearsal: Rehearsal
  readonly #logger: Logger
  readonly #door = new LogDoor()
  readonly #turns: RehearsalTurns<Waiting>
  readonly #quickMsMax: number
  readonly #pace: VacuumPace
  #replica: Replica | undefined
  #isRehearsing = false

  constructor(rehearsal: Rehearsal, logger: Logger, limits = { quickMsMax, pace: new VacuumPace() }) {
    this.#rehearsal = rehearsal
    this.#logger = logger
    this.#quickMsMax = limits.quickMsMax
    this.#pace = limits.pace
    this.#turns = new RehearsalTurns(limits.quickMsMax)
  }

  write(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    this.#watch(replica)
    if (upkeepOf(write)?.kind === 'vacuum') return this.#vacuum(replica, write)
    if (this.#door.closed !== undefined) {
      // What takes long is done now, in its own turn of the loop: when the door opens, all who wait are judged in one. The judge remembers it.
      if (write.payload.length > payloadBytesLarge) this.#rehearsal.judge(write.statements)
      return this.#whenOpen(write, () => this.write(replica, write))
    }
    const { cost, changesSchema } = this.#rehearsal.judge(write.statements)
    if (cost > shortCostMax) return this.#rehearsed(replica, { write, changesSchema })
    return changesSchema ? this.#change(replica, write) : this.#pass(replica, write)
  }

  /** Whoever waits goes through where the door is found open: with anything awaited in between, another one might have closed it again. */
  async #whenOpen<End>({ msLeft }: Pick<Proposal, 'msLeft'>, goThrough: () => Promise<End>): Promise<End | WriteEnd> {
    while (this.#door.closed !== undefined) if ((await inTime(this.#door.closed, msLeft())) === 'late') return late
    return goThrough()
  }

  async #change(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    // What went through before it may have made it a long one.
    const end = await this.#alone(replica, write, () => this.#rehearsal.judge(write.statements).cost <= shortCostMax)
    return end === 'long' ? this.write(replica, write) : end
  }

  /** It ends, but everybody waits for it: those of clients have a pace. */
  async #vacuum(replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
    const turn = this.#pace.take()
    if (!turn.ok) return turn
    let applied: Promise<void> | undefined
    try {
      const end = await this.#whenOpen(write, () =>
        this.#alone(replica, write, () => {
          turn.value.begin()
          return true
        }),
      )
      assert(end !== 'long', 'it is not judged')
      // Whoever has sent it waits no longer, but everybody else does.
      if (!end.ok && end.problem.code === 'outcome_unknown') applied = appliedAll(replica)
      return end
    } finally {
      void (applied ?? Promise.resolve()).finally(() => turn.value.end())
    }
  }

  /** Not judged: whoever calls vouches that it ends. */
  async propose(replica: Replica, entry: OwnEntry): Promise<WriteEnd> {
    this.#watch(replica)
    const end = await this.#whenOpen(entry, () =>
      entry.changes === 'data' ? this.#pass(replica, entry) : this.#alone(replica, entry, () => true),
    )
    assert(end !== 'long', 'it is not judged')
    return end
  }

  /** A new leader has entries that it has not applied yet, and cannot judge before it has. */
  #watch(replica: Replica): void {
    if (this.#replica === replica) return
    this.#replica = replica
    const closeUntilApplied = (): void => {
      const closing = this.#door.close()
      void appliedAll(replica).finally(() => closing.open())
    }
    closeUntilApplied()
    replica.onEvent((event) => {
      if (event.kind === 'became-leader') closeUntilApplied()
    })
  }

  #pass(replica: Replica, { payload, msLeft }: Proposal): Promise<WriteEnd> {
    const proposed = replica.propose(payload, { timeoutMs: msLeft() })
    void this.#door.pass(replica, proposed)
    return proposed
  }

  /** Behind everything that went through before it, and everything else waits until it is applied. */
  async #alone(replica: Replica, { payload, msLeft }: Proposal, isStillShort: () => boolean): Promise<WriteEnd | 'long'> {
    const closing = this.#door.close()
    let proposed: Promise<WriteEnd>
    try {
      if ((await inTime(closing.ready, msLeft())) === 'late') return late
      if (!isStillShort()) return 'long'
      proposed = replica.propose(payload, { timeoutMs: msLeft() })
      this.#openWhen(this.#door.pass(replica, proposed))
    } finally {
      closing.open()
    }
    return proposed
  }

  /** Closes it behind whoever has closed it now. */
  #openWhen(applied: Promise<void>): Closing {
    const closing = this.#door.close()
    void applied.finally(() => closing.open())
    return closing
  }

  #rehearsed(replica: Replica, { write, changesSchema }: Pick<Waiting, 'write' | 'changesSchema'>): Promise<WriteEnd> {
    if (this.#turns.count >= waitingMax) return Promise.resolve(overloaded)
    return new Promise((settle, reject) => {
      this.#turns.wait({ write, changesSchema, settle, reject })
      void this.#rehearseAll(replica)
    })
  }

  async #rehearseAll(replica: Replica): Promise<void> {
    if (this.#isRehearsing) return
    this.#isRehearsing = true
    while (this.#turns.count > 0) {
      const turn = this.#turns.take()
      for (const one of turn.over) one.settle(late)
      try {
        if (turn.batch.length > 0) await this.#rehearseSome(replica, turn)
      } catch (error) {
        // They hear of it as of any fault; the node goes on.
        for (const one of turn.batch) one.reject(error)
      }
      // Those who wait at the door go through in between.
      await nextTurn()
    }
    this.#isRehearsing = false
  }

  async #rehearseSome(replica: Replica, { batch, isQuick }: Turn<Waiting>): Promise<void> {
    const msLeft = Math.max(...batch.map(({ write }) => write.msLeft()))
    if ((await inTime(this.#door.settled(), msLeft)) === 'late') return this.#turns.again(batch)
    const startedAtMs = performance.now()
    const outdated =
      isQuick && this.#quickMsMax > 0
        ? await this.#rehearseAlone(replica, { batch }, this.#quickMsMax)
        : await this.#rehearse(replica, { batch, closings: new Set() })
    if (outdated.length === 0) return
    // Others have written meanwhile: once more, while they wait. It is known to end, and about when.
    const againMsMax = Math.ceil(2 * (performance.now() - startedAtMs)) + 100
    this.#turns.again(await this.#rehearseAlone(replica, { batch: outdated, againMsMax }, Infinity))
  }

  /** With the door closed: for so long. */
  async #rehearseAlone(replica: Replica, asked: Omit<Try, 'closings'>, closedMsMax: number): Promise<readonly Waiting[]> {
    // Starting a process for it takes long on a busy machine.
    await inTime(this.#rehearsal.ready(), readyMsMax)
    const closing = this.#door.close()
    let timer: NodeJS.Timeout | undefined
    try {
      await closing.ready
      if (closedMsMax < Infinity) timer = setTimeout(() => closing.open(), closedMsMax)
      return await this.#rehearse(replica, { ...asked, closings: new Set([closing]) })
    } finally {
      clearTimeout(timer)
      closing.open()
    }
  }

  /** Proposes each as it passes, behind those that passed before it. Those that passed when something else had gone through are given back; those that were not tried wait again. */
  async #rehearse(replica: Replica, { batch, closings, againMsMax }: Try): Promise<readonly Waiting[]> {
    const outdated: Waiting[] = []
    const isBehind = this.#door.isBusy
    let through = this.#door.passed
    let passed = 0
    let sinceMs = performance.now()
    // Where the one before has come to stand; undefined: nowhere.
    let place: Promise<EntryPlace | undefined> | undefined
    const goOn = (one: Waiting, behind: EntryPlace | undefined): Promise<EntryPlace | undefined> => {
      if (behind === undefined || isBehind || this.#door.passed !== through || !this.#door.isOpenTo(closings)) {
        outdated.push(one)
        return Promise.resolve(undefined)
      }
      through += 1
      return this.#proposeBehind(replica, { one, behind, closings, outdated })
    }
    const limitOf = ({ limit }: TurnstileWrite): RehearsalLimit => (againMsMax === undefined ? limit : { kind: 'clock', ms: againMsMax })
    const end = await this.#tried(
      batch.map(({ write }) => ({ payload: write.payload, limit: limitOf(write) })),
      (at, copied) => {
        const one = batch[at]
        if (one === undefined) return
        passed += 1
        this.#turns.use(one.write.client, performance.now() - sinceMs)
        sinceMs = performance.now()
        place = (place ?? Promise.resolve(copied)).then((behind) => goOn(one, behind))
      },
    )
    if (end.kind === 'ended') this.#turns.use(batch[end.at]?.write.client ?? '', performance.now() - sinceMs)
    await place
    this.#conclude(batch, end, { passed, isAgain: againMsMax !== undefined })
    return outdated
  }

  async #tried(writes: readonly RehearsedWrite[], onPassed: OnPassed): Promise<RehearsalEnd> {
    try {
      return await this.#rehearsal.rehearse(writes, onPassed)
    } catch (err) {
      // Whatever it was: what could not be tried is not proposed.
      this.#logger.error({ part: 'rehearsal', err }, 'a rehearsal has failed')
      return { kind: 'unavailable' }
    }
  }

  /** Where it stands; undefined: nowhere, so that what was rehearsed behind it does not count. */
  #proposeBehind(
    replica: Replica,
    { one, behind, closings, outdated }: Pick<Try, 'closings'> & { one: Waiting; behind: EntryPlace; outdated: Waiting[] },
  ): Promise<EntryPlace | undefined> {
    const { promise, resolve } = Promise.withResolvers<EntryPlace | undefined>()
    const fault = (error: unknown): void => {
      one.reject(error)
      resolve(undefined)
    }
    try {
      const { payload, msLeft } = one.write
      const proposed: Promise<WriteEnd> = replica.propose(payload, { timeoutMs: msLeft(), behind, onPlaced: resolve })
      const applied = this.#door.pass(replica, proposed)
      if (one.changesSchema) closings.add(this.#openWhen(applied))
      proposed.then((end) => {
        if (!end.ok && end.problem.code === 'log_moved_on') outdated.push(one)
        else one.settle(end)
        resolve(undefined)
      }, fault)
    } catch (error) {
      fault(error)
    }
    return promise
  }

  #conclude(
    batch: readonly Waiting[],
    end: RehearsalEnd,
    { passed, isAgain }: { readonly passed: number; readonly isAgain: boolean },
  ): void {
    switch (end.kind) {
      case 'done':
        return
      case 'interrupted':
        return this.#turns.again(batch.slice(passed))
      case 'unavailable':
        for (const one of batch.slice(passed)) one.settle(untried)
        return
      case 'ended':
        // The limit of the second time is ours, not the client's.
        batch[end.at]?.settle(isAgain && end.problem.code === 'statement_timeout' ? overloaded : fail(end.problem))
        this.#turns.again(batch.slice(end.at + 1))
    }
  }
}

const late: WriteEnd = fail({ code: 'deadline', message: 'not answered within the timeout; nothing was changed' })
const overloaded: WriteEnd = fail({ code: 'overloaded', message: 'too many writes wait to be tried before they are committed; try again' })
const untried: WriteEnd = fail({
  code: 'rehearsal_unavailable',
  message: 'what may take long is tried before it is committed, and that was not possible; nothing was changed; try again',
})
