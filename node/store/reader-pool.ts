// A few processes for reads that may run for any time, and the reads that wait for one. At its limit a read's process is killed and another one started: nothing else ends a
// statement. Waiting reads take turns by client, and no client gets the last free process, so that whoever sends endless queries waits for himself.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Read, ReadOptions, ReadProblem } from '../api/reader.ts'
import type { Statement } from '../command/command.ts'
import { EndedReads, type EndedReadCosts } from './ended-reads.ts'
import type { OnFatal } from './fatal.ts'
import { KillableProcess, type ProcessEnd } from './killable-process.ts'
import { ReadAssembly } from './read-assembly.ts'
import type { ReaderReply, ReaderRequest } from './reader-messages.ts'
import { rowsTooLarge } from './result-budget.ts'
import type { StoreLogger } from './store-logger.ts'

export interface PoolLimits {
  /** Processes at a time. */
  readonly processesMax: number
  /** Bytes that a process may take beyond what it takes when it is idle. */
  readonly growthBytesMax: number
}

export interface PoolOptions extends PoolLimits {
  readonly path: string
  readonly onFatal: OnFatal
  readonly logger: StoreLogger
  /** Others in tests. */
  readonly endedReadCosts?: EndedReadCosts
}

/** Beyond it reads are refused: they would wait longer than anybody does. */
const waitingMax = 512
/** Rows of all unfinished answers together; the oldest answer always goes on. */
const heldBytesMax = 128 * 1024 * 1024
/** A read of the program itself that names no time. */
const timeoutMsDefault = 30_000
const lookEveryMs = 250
/** So long an idle process is kept beyond the first one. */
const idleMsMax = 60_000
/** Whoever reads for so long lets everybody else go first: short reads, writes, heartbeats. */
const stepBackAfterMs = 500
/** Of these, so many may be one client's. */
const waitingOfOneMax = (waitingMax * 3) / 4
/** Of the processes, for a client of whose reads one was ended lately. */
const fewShare = 1 / 4
/** A process that cannot be started is not tried again at once. */
const startAgainAfterMs = 1_000

interface Job {
  readonly statements: readonly Statement[]
  readonly options: ReadOptions
  readonly deadlineAtMs: number
  readonly settle: (result: Result<Read, ReadProblem>) => void
  readonly reject: (error: Error) => void
  assembly: ReadAssembly
  ended: Read['ended']
  /** Its process has been killed, not by us. */
  wasLost: boolean
}

interface Running {
  readonly job: Job
  readonly sinceMs: number
  /** When the statement that runs now is to be ended. */
  statementUntilMs: number
  /** The process waits for `more`. */
  isAsking: boolean
}

interface Slot {
  readonly process: KillableProcess<ReaderRequest, ReaderReply>
  state: 'starting' | 'idle' | 'running' | 'ending'
  running: Running | undefined
  idleSinceMs: number
  timer: NodeJS.Timeout | undefined
  /** Put behind everything else; another process takes its place afterwards. */
  hasSteppedBack: boolean
}

export class ReaderPool {
  readonly #options: PoolOptions
  readonly #slots = new Set<Slot>()
  #waiting: Job[] = []
  #look: NodeJS.Timeout | undefined
  #state: 'open' | 'suspended' | 'closed' = 'open'
  #startsAgainAtMs = 0
  readonly #endedReads: EndedReads

  constructor(options: PoolOptions) {
    this.#options = options
    this.#endedReads = new EndedReads(options.endedReadCosts)
  }

  /** Starts one process, so that the first read does not wait for that. */
  warm(): void {
    if (this.#state === 'open' && this.#slots.size === 0) this.#start()
  }

  read(statements: readonly Statement[], options: ReadOptions): Promise<Result<Read, ReadProblem>> {
    if (this.#state === 'closed') return Promise.resolve(ending)
    if (this.#isFullFor(options.client)) return Promise.resolve(overloaded)
    return new Promise((settle, reject) => {
      const given = statements.filter(({ sql }) => sql !== '')
      const deadlineAtMs = performance.now() + (options.timeoutMs ?? timeoutMsDefault)
      this.#waiting.push({
        statements: given,
        options,
        deadlineAtMs,
        settle,
        reject,
        assembly: new ReadAssembly(),
        ended: undefined,
        wasLost: false,
      })
      this.#lookNowAndThen()
      this.#dispatch()
    })
  }

  #isFullFor(client: string | undefined): boolean {
    const { length } = this.#waiting
    if (length < waitingOfOneMax) return false
    return length >= waitingMax || this.#waiting.filter(({ options }) => options.client === client).length >= waitingOfOneMax
  }

  /** Ends every process, so that the database may be replaced; the operating system takes a moment to do it. What was being read is read again after `resume`. */
  suspend(): void {
    this.#state = 'suspended'
    for (const slot of this.#slots) {
      if (slot.running !== undefined) this.#waitAgain(slot.running.job)
      this.#end(slot)
    }
  }

  resume(): void {
    this.#state = 'open'
    this.#dispatch()
  }

  close(): void {
    this.#state = 'closed'
    for (const slot of this.#slots) {
      slot.running?.job.settle(ending)
      this.#end(slot)
    }
    for (const job of this.#waiting) job.settle(ending)
    this.#waiting = []
    clearInterval(this.#look)
  }

  #dispatch(): void {
    while (this.#state === 'open' && this.#waiting.length > 0) {
      const job = this.#next()
      if (job === undefined) return
      const idle = [...this.#slots].find(({ state }) => state === 'idle')
      if (idle === undefined) return this.#startOneMore()
      this.#waiting.splice(this.#waiting.indexOf(job), 1)
      this.#run(idle, job)
    }
  }

  /** The one that has waited longest, of the client that has fewest running. */
  #next(): Job | undefined {
    const running = new Map<string | undefined, number>()
    for (const { running: one } of this.#slots)
      if (one !== undefined) running.set(one.job.options.client, (running.get(one.job.options.client) ?? 0) + 1)
    let best: Job | undefined
    let fewest = Infinity
    for (const job of this.#waiting) {
      const { client } = job.options
      const count = running.get(client) ?? 0
      if (count >= fewest || count >= this.#mostOf(client)) continue
      best = job
      fewest = count
    }
    return best
  }

  #mostOf(client: string | undefined): number {
    const { processesMax } = this.#options
    switch (this.#endedReads.allows(client)) {
      case 'none':
        return 0
      case 'few':
        return Math.max(1, Math.floor(processesMax * fewShare))
      case 'many':
        return Math.max(1, processesMax - 1)
    }
  }

  #noteEnded({ job, sinceMs }: Running): void {
    this.#endedReads.note(job.options.client, performance.now() - sinceMs)
  }

  #startOneMore(): void {
    const states = [...this.#slots].map(({ state }) => state)
    const starting = states.filter((state) => state === 'starting').length
    if (this.#slots.size >= this.#options.processesMax || starting >= this.#waiting.length || performance.now() < this.#startsAgainAtMs)
      return
    this.#start()
  }

  #start(): void {
    const slot: Slot = {
      process: new KillableProcess<ReaderRequest, ReaderReply>({
        file: new URL('reader-process.ts', import.meta.url),
        arguments: [this.#options.path, String(this.#options.growthBytesMax)],
        onReply: (reply) => this.#replied(slot, reply),
        onEnded: (end) => this.#ended(slot, end),
      }),
      state: 'starting',
      running: undefined,
      idleSinceMs: 0,
      timer: undefined,
      hasSteppedBack: false,
    }
    this.#slots.add(slot)
  }

  #run(slot: Slot, job: Job): void {
    slot.state = 'running'
    slot.running = { job, sinceMs: performance.now(), statementUntilMs: Infinity, isAsking: false }
    this.#beginStatement(slot, slot.running)
    const { transaction, appliedIndexMin } = job.options
    const statements = job.statements.slice(job.assembly.results.length)
    slot.process.send({ kind: 'read', statements, transaction, appliedIndexMin })
  }

  #beginStatement(slot: Slot, running: Running): void {
    clearTimeout(slot.timer)
    const { deadlineAtMs, options } = running.job
    const now = performance.now()
    running.statementUntilMs = now + (options.statementTimeoutMs ?? Infinity)
    slot.timer = setTimeout(() => this.#overdue(slot, running), Math.max(0, Math.min(running.statementUntilMs, deadlineAtMs) - now))
  }

  #replied(slot: Slot, reply: ReaderReply): void {
    if (slot.state === 'ending') return
    if (reply.kind === 'ready') return this.#free(slot)
    const { running } = slot
    if (running === undefined) return
    const { job } = running
    switch (reply.kind) {
      case 'parts':
        for (const part of reply.parts) job.assembly.take(part)
        running.isAsking = reply.mustAsk
        if (!reply.mustAsk) this.#beginStatement(slot, running)
        return this.#giveMore()
      case 'done':
        for (const part of reply.parts) job.assembly.take(part)
        this.#settle(job)
        if (reply.isSwollen || slot.hasSteppedBack) this.#end(slot)
        return this.#free(slot)
      case 'too-large':
        job.settle(tooLarge)
        if (slot.hasSteppedBack) this.#end(slot)
        return this.#free(slot)
      case 'failed':
        this.#options.onFatal({ code: 'database_failed', message: `during a read: ${reply.message}`, cause: undefined })
        job.reject(new Error('the database has failed'))
        return this.#end(slot)
    }
  }

  /** Processes whose rows there is room for; the answer that was begun first has it always. */
  #giveMore(): void {
    const running = [...this.#slots].flatMap((slot) => (slot.running === undefined ? [] : [{ slot, running: slot.running }]))
    const held = running.reduce((sum, one) => sum + one.running.job.assembly.bytes, 0)
    const oldest = Math.min(...running.map((one) => one.running.job.deadlineAtMs))
    for (const { slot, running: one } of running) {
      if (!one.isAsking || (held > heldBytesMax && one.job.deadlineAtMs !== oldest)) continue
      one.isAsking = false
      slot.process.send({ kind: 'more' })
    }
  }

  #overdue(slot: Slot, running: Running): void {
    const { job } = running
    this.#noteEnded(running)
    this.#end(slot)
    if (running.statementUntilMs >= job.deadlineAtMs) job.settle(late)
    else this.#goOnWithout(job, 'statement_timeout', 'query timeout')
    this.#dispatch()
  }

  /** What was answered stays; the statement that was running is answered so, and those behind it run in another process. */
  #goOnWithout(job: Job, ended: Exclude<Read['ended'], undefined>, message: string): void {
    job.ended = ended
    job.assembly.cut({ kind: 'error', message, seconds: 0 })
    if (job.options.transaction || job.assembly.results.length >= job.statements.length) return this.#settle(job)
    this.#waiting.unshift(job)
  }

  #settle({ assembly: { results, appliedIndex }, ended, settle }: Job): void {
    settle(ok({ results, appliedIndex, ...(ended === undefined ? {} : { ended }) }))
  }

  #waitAgain(job: Job): void {
    job.assembly = new ReadAssembly()
    job.ended = undefined
    this.#waiting.unshift(job)
  }

  #free(slot: Slot): void {
    clearTimeout(slot.timer)
    slot.running = undefined
    if (slot.state !== 'ending') slot.state = 'idle'
    slot.idleSinceMs = performance.now()
    this.#giveMore()
    this.#dispatch()
  }

  /** By us; what it ran is somebody else's by now. */
  #end(slot: Slot): void {
    clearTimeout(slot.timer)
    slot.state = 'ending'
    slot.running = undefined
    slot.process.kill()
  }

  #ended(slot: Slot, { cause, reason }: ProcessEnd): void {
    const { state, running } = slot
    clearTimeout(slot.timer)
    this.#slots.delete(slot)
    if (state === 'starting') {
      this.#startsAgainAtMs = performance.now() + startAgainAfterMs
      this.#options.logger.error({ reason }, 'a reader process did not start')
    }
    if (running !== undefined) this.#lost(running, { cause, reason })
    this.#dispatch()
  }

  /** Somebody else's signal (an administrator's, or the kernel's when memory is short) may have met a process that was just given its work: once, it is tried again. */
  #lost(running: Running, { cause, reason }: ProcessEnd): void {
    const { job } = running
    if (cause === 'fault') return job.reject(new Error(`a reader process has ended: ${reason}`))
    if (cause === 'memory' || job.wasLost) {
      this.#noteEnded(running)
      return this.#goOnWithout(job, 'statement_out_of_memory', 'out of memory')
    }
    job.wasLost = true
    this.#waitAgain(job)
  }

  #lookNowAndThen(): void {
    this.#look ??= setInterval(() => this.#lookAround(), lookEveryMs).unref()
  }

  #lookAround(): void {
    const now = performance.now()
    const isOver = ({ deadlineAtMs, options }: Job): boolean => deadlineAtMs <= now || options.isAbandoned?.() === true
    for (const job of this.#waiting.filter(isOver)) job.settle(late)
    this.#waiting = this.#waiting.filter((job) => !isOver(job))
    for (const slot of this.#slots) {
      if (slot.running?.job.options.isAbandoned?.() === true) {
        this.#noteEnded(slot.running)
        slot.running.job.settle(late)
        this.#end(slot)
      }
      if (slot.running !== undefined && !slot.hasSteppedBack && slot.running.sinceMs < now - stepBackAfterMs) {
        slot.hasSteppedBack = true
        slot.process.stepBack()
      }
      if (slot.state === 'idle' && this.#slots.size > 1 && slot.idleSinceMs < now - idleMsMax) this.#end(slot)
    }
    this.#dispatch()
    if (this.#slots.size > 1 || this.#waiting.length > 0) return
    if ([...this.#slots].some(({ state }) => state !== 'idle')) return
    clearInterval(this.#look)
    this.#look = undefined
  }
}

const ending = fail({ code: 'not_ready', message: 'the node is shutting down; nothing was changed' } as const)
const overloaded = fail({ code: 'overloaded', message: 'too many reads are waiting; try again' } as const)
const late = fail({ code: 'deadline', message: 'not answered within the timeout; nothing was changed' } as const)
/** What a read is answered whose rows do not fit into one answer. */
export const tooLarge = fail({ code: 'result_too_large', message: `${rowsTooLarge}; ask for fewer rows` } as const)
