// Writes that were taken before they are carried out (`/db/execute?queue`): one queue a node, in memory, lost when the node dies. Neighbours of one identity go to the
// leader together, as one ordinary execute. In order, one at a time, and never twice: what certainly was not done is tried again, what may have been done is not.
import type { WriteQueueConfiguration } from '../../contract/node-configuration.ts'
import { backOffMs } from '../../runtime/back-off.ts'
import type { Logger } from '../../runtime/log.ts'
import type { CountingMetric, Metrics } from '../../runtime/metrics.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Identity } from '../access/identity.ts'
import type { Clock } from '../replica/clock.ts'
import { refuse } from './exchange.ts'
import type { ApiReply } from './exchange.ts'

/** One request as it is queued. */
export interface QueuedWrite {
  readonly identity: Identity
  /** The JSON of its statements, without the list's brackets, in memory of its own. */
  readonly statementsJson: Uint8Array
  /** 0: only a mark that what stands before it has been dealt with. */
  readonly statements: number
  /** All or nothing: it is written alone. */
  readonly transaction: boolean
  /** ANALYZE and its like: an entry of its own, or it is an error. */
  readonly isUpkeep: boolean
}

/** What goes to the leader together. */
export interface QueuedGroup {
  readonly identity: Identity
  readonly statementsJson: readonly Uint8Array[]
  readonly transaction: boolean
}

/**
 * What became of a group. `again`: certainly nothing was done, and it may succeed later; `refused`: nothing was done, and it would be refused again;
 * `unknown`: it may have been done. The replies are for who waits.
 */
export type Sent =
  | { readonly kind: 'written'; readonly statementErrors: number }
  | { readonly kind: 'again' | 'refused' | 'unknown'; readonly reply: ApiReply }

export interface Queued {
  readonly sequenceNumber: number
  /** Undefined: written (or, of a mark, everything before it was). Else what became of it instead. */
  readonly ended: Promise<ApiReply | undefined>
}

export interface WriteQueueParts {
  readonly settings: WriteQueueConfiguration
  /** Bytes of everything that is queued, and of what goes to the leader together. */
  readonly limits: { readonly queuedBytesMax: number; readonly bodyBytesMax: number }
  readonly send: (group: QueuedGroup) => Promise<Sent>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

interface Item extends QueuedWrite {
  readonly sequenceNumber: number
  readonly queuedAtMs: number
  readonly end: (reply: ApiReply | undefined) => void
  /** Of a mark: the first thing before it, by the same user, that was not written. */
  failure: ApiReply | undefined
}

const events = ['queued', 'written'] as const
const outcomes = ['written', 'refused', 'unknown', 'given_up'] as const
type Outcome = (typeof outcomes)[number]

// What an entry of the queue costs beside its text.
const itemBytes = 512
const pauses = { firstMs: 100, maxMs: 5_000 }
// People mend a cluster within an hour; a write that is older would surprise whoever sees it come.
const keepMsMax = 60 * 60_000
// Less than the API's own grace for requests (api-server.ts): who waits for a queued write is answered.
const closeMsMax = 3_500

export class WriteQueue {
  readonly settings: WriteQueueConfiguration
  readonly #parts: WriteQueueParts
  readonly #log: Logger
  readonly #writes: CountingMetric<{ readonly outcome: typeof outcomes }>
  readonly #statements: CountingMetric<{ readonly event: typeof events }>
  readonly #countStatementErrors: (count: number) => void
  readonly #items: Item[] = []
  /** Queued or on their way. */
  #held = { requests: 0, bytes: 0 }
  /** Not yet on their way. */
  #waitingStatements = 0
  #sequenceNumber: number
  #isSending = false
  #isHurried = false
  #isClosing = false
  #cancelTimer: (() => void) | undefined
  #endPause: (() => void) | undefined
  #idleListeners: (() => void)[] = []

  constructor(parts: WriteQueueParts) {
    this.#parts = parts
    this.settings = parts.settings
    this.#log = parts.logger.child({ part: 'queue' })
    // Microseconds, not rqlite's nanoseconds: a client in JavaScript reads it exactly, and it still grows from one life of the node to the next.
    this.#sequenceNumber = parts.clock.wallMs() * 1000
    const { metrics } = parts
    this.#writes = metrics.counter({
      name: 'securesql_queue_writes_total',
      help: 'Queued requests by what became of them. `unknown`: it may have been carried out. `given_up`: it was not.',
      labels: { outcome: outcomes },
    })
    this.#statements = metrics.counter({
      name: 'securesql_queue_statements_total',
      help: 'Statements that were queued, and those of them that were written (or refused by SQLite).',
      labels: { event: events },
    })
    const statementErrors = metrics.counter({
      name: 'securesql_queue_statement_errors_total',
      help: 'Statements of queued requests that SQLite refused; nobody is told of them.',
      labels: {},
    })
    this.#countStatementErrors = (count) => statementErrors.add({}, count)
    metrics.gauge({
      name: 'securesql_queue_requests',
      help: 'Requests in the write queue, those on their way included.',
      read: () => this.#held.requests,
    })
    metrics.gauge({ name: 'securesql_queue_bytes', help: 'Bytes of the requests in the write queue.', read: () => this.#held.bytes })
  }

  /** The last one that was given out; they grow by one. */
  get sequenceNumber(): number {
    return this.#sequenceNumber
  }

  add(write: QueuedWrite): Result<Queued, 'full' | 'closing'> {
    if (this.#isClosing) return fail('closing')
    const bytes = bytesOf(write)
    const { settings, limits, clock } = this.#parts
    if (this.#held.requests >= settings.capacity || this.#held.bytes + bytes > limits.queuedBytesMax) return fail('full')
    this.#held = { requests: this.#held.requests + 1, bytes: this.#held.bytes + bytes }
    this.#waitingStatements += write.statements
    this.#statements.add({ event: 'queued' }, write.statements)
    this.#sequenceNumber += 1
    const sequenceNumber = this.#sequenceNumber
    const ended = new Promise<ApiReply | undefined>((end) => {
      this.#items.push({ ...write, sequenceNumber, queuedAtMs: clock.monotonicMs(), end, failure: undefined })
    })
    this.#schedule()
    return ok({ sequenceNumber, ended })
  }

  /** From now on nothing waits for a batch to fill. */
  hurry(): void {
    this.#isHurried = true
    this.#schedule()
  }

  /** Resolves when the queue is empty, at the latest after `withinMs`. What is queued meanwhile belongs to it. */
  async flush(options: { readonly withinMs: number }): Promise<void> {
    this.hurry()
    if (this.#held.requests === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(options.withinMs, resolve)
      this.#idleListeners.push(() => {
        cancel()
        resolve()
      })
    })
  }

  /** Takes nothing new and writes what it can; the rest is given up, answered and logged. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#endPause?.()
    await this.flush({ withinMs: closeMsMax })
    for (const item of this.#items.splice(0)) {
      this.#settle([item], { outcome: item.statements === 0 ? 'passed' : 'given_up', reply: closing() })
    }
  }

  #schedule(): void {
    const { clock } = this.#parts
    if (this.#isSending || this.#items.length === 0) return
    const waitMs = this.#waitMs()
    if (waitMs > 0) {
      this.#cancelTimer ??= clock.after(waitMs, () => {
        this.#cancelTimer = undefined
        this.#schedule()
      })
      return
    }
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#isSending = true
    // Not in the handler of whoever queued: what arrives in the same turn goes along.
    clock.soon(() => void this.#run())
  }

  /** Until the next group is due; 0: now. */
  #waitMs(): number {
    const { settings, clock } = this.#parts
    const [first] = this.#items
    if (this.#isHurried || first === undefined || this.#waitingStatements >= settings.batchSize) return 0
    if (this.#items.at(-1)?.statements === 0) return 0
    return Math.max(0, first.queuedAtMs + settings.timeoutMs - clock.monotonicMs())
  }

  async #run(): Promise<void> {
    do {
      await this.#deliver(this.#takeGroup())
    } while (this.#items.length > 0 && this.#waitMs() === 0)
    this.#isSending = false
    this.#schedule()
    if (this.#held.requests > 0) return
    const listeners = this.#idleListeners
    this.#idleListeners = []
    for (const listener of listeners) listener()
  }

  /** A mark, or neighbours of one identity, as many as fit. */
  #takeGroup(): Item[] {
    const { settings, limits } = this.#parts
    const [first] = this.#items
    let statements = 0
    let bytes = 0
    let count = 0
    for (const item of this.#items) {
      const goesAlong =
        first === item ||
        (statements + item.statements <= settings.batchSize &&
          // With a comma each, between two brackets.
          bytes + item.statementsJson.length + 2 <= limits.bodyBytesMax &&
          first !== undefined &&
          mayShare(first, item))
      if (!goesAlong) break
      statements += item.statements
      bytes += item.statementsJson.length + 1
      count += 1
    }
    this.#waitingStatements -= statements
    return this.#items.splice(0, count)
  }

  async #deliver(items: readonly Item[]): Promise<void> {
    const [first] = items
    if (first === undefined || first.statements === 0) return this.#settle(items, { outcome: 'passed', reply: first?.failure })
    const group: QueuedGroup = {
      identity: first.identity,
      statementsJson: items.map(({ statementsJson }) => statementsJson),
      transaction: this.settings.transaction || first.transaction,
    }
    for (let failures = 1; ; failures += 1) {
      const sent = await this.#parts.send(group)
      switch (sent.kind) {
        case 'written':
          this.#statements.add({ event: 'written' }, statementsOf(items))
          this.#countStatementErrors(sent.statementErrors)
          return this.#settle(items, { outcome: 'written', reply: undefined })
        case 'unknown':
          return this.#settle(items, { outcome: 'unknown', reply: sent.reply })
        case 'refused':
          // One request must not take its neighbours along.
          if (items.length === 1 || sent.reply.refusal?.code === 'permission_denied') {
            return this.#settle(items, { outcome: 'refused', reply: sent.reply })
          }
          for (const item of items) await this.#deliver([item])
          return
        case 'again':
          if (this.#isClosing || this.#parts.clock.monotonicMs() - first.queuedAtMs > keepMsMax) {
            return this.#settle(items, { outcome: 'given_up', reply: sent.reply })
          }
          await this.#pause(backOffMs(pauses, failures))
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }

  #settle(items: readonly Item[], how: { readonly outcome: Outcome | 'passed'; readonly reply: ApiReply | undefined }): void {
    const { outcome, reply } = how
    if (outcome !== 'passed') this.#writes.add({ outcome }, items.length)
    if (outcome !== 'passed' && reply !== undefined) this.#report(items, outcome, reply)
    for (const item of items) {
      this.#held = { requests: this.#held.requests - 1, bytes: this.#held.bytes - bytesOf(item) }
      item.end(reply)
    }
  }

  /** Nobody may be waiting: the log is where it is seen. The marks behind it tell the same user. */
  #report(items: readonly Item[], outcome: Outcome, reply: ApiReply): void {
    const [first] = items
    const about = { outcome, code: reply.refusal?.code, requests: items.length, firstSequenceNumber: first?.sequenceNumber }
    this.#log.error(about, 'queued writes were not carried out, or nobody knows')
    for (const mark of this.#items) {
      if (mark.statements === 0 && first !== undefined && isSame(first.identity, mark.identity)) mark.failure ??= reply
    }
  }
}

function mayShare(first: Item, item: Item): boolean {
  return (
    [first, item].every(({ statements, transaction, isUpkeep }) => statements > 0 && !transaction && !isUpkeep) &&
    isSame(first.identity, item.identity)
  )
}

function statementsOf(items: readonly Item[]): number {
  return items.reduce((total, { statements }) => total + statements, 0)
}

function bytesOf(write: QueuedWrite): number {
  return write.statementsJson.length + itemBytes
}

function isSame(left: Identity, right: Identity): boolean {
  return left.kind === 'user' ? right.kind === 'user' && left.username === right.username : right.kind === 'anonymous'
}

function closing(): ApiReply {
  return refuse('not_ready', 'the node is shutting down; nothing was changed')
}
