// Tries writes before they are proposed: applies them to a copy of the database (rehearsal-copy.ts) in a process that is killed at their limits. The database itself is only
// read: heartbeats, other writes and reads go on, and no lock of theirs is held.
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join, dirname } from 'node:path'
import Database from 'better-sqlite3'
import type { Judgement, OnPassed, Rehearsal, RehearsalEnd, RehearsedWrite } from '../api/rehearsal.ts'
import type { Statement } from '../command/command.ts'
import { bookkeepingTable } from './bookkeeping.ts'
import { freeBytesBeside } from './disk-space.ts'
import { KillableProcess, type ProcessEnd } from './killable-process.ts'
import { copyPath } from './rehearsal-copy.ts'
import type { RehearsalReply, RehearsalRequest } from './rehearsal-messages.ts'
import type { StoreLogger } from './store-logger.ts'

export interface RehearsalsOptions {
  readonly databasePath: string
  /** Who judges, under the schema as applied now. */
  readonly judge: (statements: readonly Statement[]) => Judgement
  /** Bytes that the process may take beyond what it takes when it is idle. */
  readonly growthBytesMax: number
  readonly logger: StoreLogger
  /** Of what one rehearsal may put into the WAL. */
  readonly walBytesMax?: number
  /** Smaller in tests. */
  readonly walBytesLong?: number
  /** Another program in tests. */
  readonly program?: URL
}

/** A limit of processor time ends after so many times as much by the clock: what waits for the disk takes none. */
const clockFactor = 10
/** What a write may put into the WAL: it will be there again on every node, beside everything else. */
const walBytesMax = 1024 * 1024 * 1024
const lookEveryMs = 50
/**
 * A rehearsal needs the WAL as it is: while one runs, it cannot be emptied. One after the other would let it grow without end, and each copies it. So with more than this in
 * it the next one waits until it is emptied, for a while; in vain where a long read holds it too, and then not soon again.
 */
const walBytesLong = 64 * 1024 * 1024
const emptyWaitMsMax = 3_000
const noWaitMs = 30_000
/** In a row; after that the write itself is to blame. */
const lostMax = 2
/** A machine that has no process, no memory or no room for a copy may have it a moment later. After these tries, and in any case after this time, nothing can be tried. */
const failuresMax = 3
const pauseMs = 200
const preparingMsMax = 15_000

interface Running {
  readonly writes: readonly RehearsedWrite[]
  readonly onPassed: OnPassed
  readonly settle: (end: RehearsalEnd) => void
  readonly freeBytes: number
  readonly askedAtMs: number
  at: number
  failures: number
  hasBegun: boolean
  /** Until the first write begins. */
  preparing: NodeJS.Timeout | undefined
  timer: NodeJS.Timeout | undefined
  /** Why we have ended it. */
  cause: 'late' | 'large' | undefined
}

type Problem = Extract<RehearsalEnd, { readonly kind: 'ended' }>['problem']

export class Rehearsals implements Rehearsal {
  readonly #options: RehearsalsOptions
  readonly #directory: string
  #process: KillableProcess<RehearsalRequest, RehearsalReply> | undefined
  #isReady = false
  #pin: Database.Database | undefined
  #running: Running | undefined
  #look: NodeJS.Timeout | undefined
  #lost = 0
  #noWaitUntilMs = 0
  #state: 'open' | 'suspended' | 'closed' = 'open'
  #whenReady: (() => void)[] = []

  constructor(options: RehearsalsOptions) {
    this.#options = options
    this.#directory = join(dirname(options.databasePath), 'rehearsal')
    rmSync(this.#directory, { recursive: true, force: true })
    mkdirSync(this.#directory, { mode: 0o700 })
  }

  /** Starts the process, so that the first rehearsal does not wait for it. */
  warm(): void {
    if (this.#state === 'open') this.#attempt(() => (this.#process ??= this.#start()))
  }

  ready(): Promise<void> {
    this.warm()
    if (this.#isReady || this.#process === undefined) return Promise.resolve()
    return new Promise((resolve) => this.#whenReady.push(resolve))
  }

  #tellReady(): void {
    for (const tell of this.#whenReady.splice(0)) tell()
  }

  judge(statements: readonly Statement[]): Judgement {
    return this.#options.judge(statements)
  }

  rehearse(writes: readonly RehearsedWrite[], onPassed: OnPassed): Promise<RehearsalEnd> {
    if (this.#running !== undefined) throw new Error('one rehearsal at a time')
    return new Promise((settle) => {
      if (this.#state === 'closed') return settle({ kind: 'unavailable' })
      const freeBytes = freeBytesBeside(this.#options.databasePath)()
      const preparing = setTimeout(() => this.#giveUp('it could not be prepared in time'), preparingMsMax)
      const state = { at: 0, failures: 0, hasBegun: false, preparing, timer: undefined, cause: undefined }
      this.#running = { writes, onPassed, settle, freeBytes, askedAtMs: performance.now(), ...state }
      this.#look = setInterval(() => this.#attempt(() => this.#lookAtWal()), lookEveryMs)
      this.#begin()
    })
  }

  /** Ends the process, so that the database may be replaced; nothing is begun until `resume`. */
  suspend(): void {
    if (this.#state === 'open') this.#state = 'suspended'
    this.#discard()
    this.#unpin()
    this.#conclude({ kind: 'interrupted' })
  }

  resume(): void {
    if (this.#state === 'suspended') this.#state = 'open'
    this.#begin()
  }

  close(): void {
    this.suspend()
    this.#state = 'closed'
  }

  #begin(): void {
    this.#attempt(() => {
      const running = this.#running
      if (running === undefined || this.#state !== 'open') return
      this.#process ??= this.#start()
      if (!this.#isReady || running.hasBegun) return
      clearTimeout(running.timer)
      if (this.#mustWait(running)) {
        running.timer = setTimeout(() => this.#begin(), lookEveryMs)
        return
      }
      running.hasBegun = true
      this.#pinSnapshot()
      const writes = running.writes.map(({ payload, limit }) => ({ payload, processorMsMax: limit.kind === 'processor' ? limit.ms : 0 }))
      this.#process.send({ kind: 'rehearse', writes })
    })
  }

  /** Files, processes and SQLite may refuse at any time. That ends a rehearsal and never the node. */
  #attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error))
    }
  }

  /** Once more, a moment later, with a process of its own. */
  #failed(reason: string): void {
    const running = this.#running
    this.#options.logger.warn({ reason }, 'a rehearsal could not begin')
    this.#discard()
    if (running === undefined) return
    // What has passed is proposed already, and the others need another copy.
    if (running.at > 0) return this.#conclude({ kind: 'interrupted' })
    running.failures += 1
    if (running.failures >= failuresMax) return this.#giveUp(reason)
    running.hasBegun = false
    // The next copy is of what is applied then.
    this.#unpin()
    clearTimeout(running.timer)
    running.timer = setTimeout(() => this.#begin(), pauseMs * running.failures)
  }

  #giveUp(reason: string): void {
    this.#options.logger.error({ reason }, 'no write can be rehearsed: those that may take long are refused')
    this.#discard()
    this.#conclude({ kind: 'unavailable' })
  }

  #mustWait({ askedAtMs }: Running): boolean {
    const nowMs = performance.now()
    const bytes = statSync(`${this.#options.databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0
    if (bytes <= (this.#options.walBytesLong ?? walBytesLong) || nowMs < this.#noWaitUntilMs) return false
    if (nowMs - askedAtMs < emptyWaitMsMax) return true
    this.#noWaitUntilMs = nowMs + noWaitMs
    return false
  }

  #start(): KillableProcess<RehearsalRequest, RehearsalReply> {
    this.#isReady = false
    const child = new KillableProcess<RehearsalRequest, RehearsalReply>({
      file: this.#options.program ?? new URL('rehearsal-process.ts', import.meta.url),
      arguments: [this.#options.databasePath, this.#directory, String(this.#options.growthBytesMax)],
      onReply: (reply) => {
        if (this.#process === child) this.#replied(reply)
      },
      onEnded: (end) => {
        if (this.#process === child) this.#ended(end)
      },
    })
    return child
  }

  /** Whatever it still says, or ends of, is nobody's business any more. */
  #discard(): void {
    this.#process?.kill()
    this.#process = undefined
    this.#isReady = false
    this.#tellReady()
  }

  /** What is applied now stays in the file until the rehearsal is over. */
  #pinSnapshot(): void {
    this.#pin ??= new Database(this.#options.databasePath, { readonly: true, fileMustExist: true })
    this.#pin.exec('BEGIN')
    this.#pin.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).get()
  }

  #unpin(): void {
    this.#pin?.close()
    this.#pin = undefined
  }

  #replied(reply: RehearsalReply): void {
    if (reply.kind === 'ready') {
      this.#isReady = true
      this.#tellReady()
      return this.#begin()
    }
    const running = this.#running
    if (running === undefined || running.cause !== undefined) return
    switch (reply.kind) {
      case 'began':
        return this.#beginWrite(running)
      case 'passed':
        clearTimeout(running.timer)
        running.at += 1
        return running.onPassed(running.at - 1, reply.copied)
      case 'done':
        if (reply.isSwollen) this.#discard()
        this.#lost = 0
        return this.#conclude({ kind: 'done' })
      case 'refused':
        return this.#end({ code: 'statement_refused', message: reply.message })
      case 'unavailable':
        return this.#failed(reply.reason)
      case 'failed':
        this.#options.logger.warn({ reason: reply.message }, 'a write could not be rehearsed')
        return this.#end({ code: 'internal', message: 'the write could not be tried; nothing was changed' })
    }
  }

  #beginWrite(running: Running): void {
    const limit = running.writes[running.at]?.limit
    if (limit === undefined) return
    clearTimeout(running.preparing)
    running.preparing = undefined
    clearTimeout(running.timer)
    running.timer = setTimeout(
      () => {
        running.cause = 'late'
        this.#process?.kill()
      },
      limit.kind === 'clock' ? limit.ms : limit.ms * clockFactor,
    )
  }

  #lookAtWal(): void {
    const running = this.#running
    const bytes = statSync(`${copyPath({ directory: this.#directory, databasePath: '' })}-wal`, { throwIfNoEntry: false })?.size ?? 0
    if (running === undefined || bytes <= Math.min(this.#options.walBytesMax ?? walBytesMax, running.freeBytes / 2)) return
    running.cause = 'large'
    this.#process?.kill()
  }

  #ended(end: ProcessEnd): void {
    const wasReady = this.#isReady
    this.#process = undefined
    this.#isReady = false
    this.#tellReady()
    const running = this.#running
    if (!wasReady) return this.#failed(`its process did not start: ${end.reason}`)
    if (running === undefined) return
    // It was making its copy, which no write of a client can hurt.
    if (running.preparing !== undefined) return this.#failed(`its process has ended: ${end.reason}`)
    // Somebody else's signal: an administrator's, or the kernel's when memory is short.
    if (end.cause === 'killed' && running.cause === undefined && this.#lost < lostMax) {
      this.#lost += 1
      return this.#conclude({ kind: 'interrupted' })
    }
    this.#end(this.#problemOf(running, end))
    // The next one is there when it is needed.
    this.warm()
  }

  #problemOf({ cause }: Running, end: ProcessEnd): Problem {
    if (cause === 'late' || end.cause === 'processor') return { code: 'statement_timeout', message: 'execute timeout' }
    if (cause === 'large')
      return { code: 'write_too_large', message: 'the write is too large for the disk, or for one write; nothing was changed' }
    if (end.cause === 'fault') {
      this.#options.logger.error({ reason: end.reason }, 'a write has ended its rehearsal')
      return { code: 'internal', message: 'the write cannot be carried out; nothing was changed' }
    }
    return { code: 'statement_out_of_memory', message: 'out of memory' }
  }

  #end(problem: Problem): void {
    this.#conclude({ kind: 'ended', at: this.#running?.at ?? 0, problem })
  }

  #conclude(end: RehearsalEnd): void {
    const running = this.#running
    if (running === undefined) return
    for (const timer of [running.preparing, running.timer]) clearTimeout(timer)
    clearInterval(this.#look)
    this.#running = undefined
    try {
      if (this.#pin?.inTransaction === true) this.#pin.exec('COMMIT')
    } catch {
      this.#unpin()
    }
    running.settle(end)
  }
}
