// Tries writes before they are proposed: applies them to a copy of the database (rehearsal-copy.ts) in a process that is killed at their limits. The database itself is only
// read: heartbeats, other writes and reads go on, and no lock of theirs is held.
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join, dirname } from 'node:path'
import Database from 'better-sqlite3'
import type { Judgement, Rehearsal, RehearsalEnd, RehearsedWrite } from '../api/rehearsal.ts'
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

interface Running {
  readonly writes: readonly RehearsedWrite[]
  readonly onPassed: (at: number) => void
  readonly settle: (end: RehearsalEnd) => void
  readonly freeBytes: number
  readonly askedAtMs: number
  at: number
  hasBegun: boolean
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
  #isClosed = false

  constructor(options: RehearsalsOptions) {
    this.#options = options
    this.#directory = join(dirname(options.databasePath), 'rehearsal')
    rmSync(this.#directory, { recursive: true, force: true })
    mkdirSync(this.#directory, { mode: 0o700 })
  }

  /** Starts the process, so that the first rehearsal does not wait for it. */
  warm(): void {
    if (!this.#isClosed) this.#process ??= this.#start()
  }

  judge(statements: readonly Statement[]): Judgement {
    return this.#options.judge(statements)
  }

  rehearse(writes: readonly RehearsedWrite[], onPassed: (at: number) => void): Promise<RehearsalEnd> {
    if (this.#running !== undefined) throw new Error('one rehearsal at a time')
    return new Promise((settle) => {
      if (this.#isClosed) return settle({ kind: 'unavailable' })
      const freeBytes = freeBytesBeside(this.#options.databasePath)()
      const askedAtMs = performance.now()
      this.#running = { writes, onPassed, settle, freeBytes, askedAtMs, at: 0, hasBegun: false, timer: undefined, cause: undefined }
      this.#look = setInterval(() => this.#lookAtWal(), lookEveryMs)
      this.#begin()
    })
  }

  /** Ends the process, so that the database may be replaced. */
  suspend(): void {
    this.#discard()
    this.#pin?.close()
    this.#pin = undefined
    this.#conclude({ kind: 'interrupted', passed: this.#running?.at ?? 0 })
  }

  resume(): void {
    // It is started when it is needed.
  }

  close(): void {
    this.#isClosed = true
    this.suspend()
  }

  #begin(): void {
    const running = this.#running
    if (running === undefined || this.#isClosed) return
    this.#process ??= this.#start()
    if (!this.#isReady || running.hasBegun) return
    if (this.#mustWait(running)) {
      clearTimeout(running.timer)
      running.timer = setTimeout(() => this.#begin(), lookEveryMs)
      return
    }
    running.hasBegun = true
    this.#pinSnapshot()
    const writes = running.writes.map(({ payload, limit }) => ({ payload, processorMsMax: limit.kind === 'processor' ? limit.ms : 0 }))
    this.#process.send({ kind: 'rehearse', writes })
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
      file: new URL('rehearsal-process.ts', import.meta.url),
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
  }

  /** What is applied now stays in the file until the rehearsal is over. */
  #pinSnapshot(): void {
    this.#pin ??= new Database(this.#options.databasePath, { readonly: true, fileMustExist: true })
    this.#pin.exec('BEGIN')
    this.#pin.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).get()
  }

  #replied(reply: RehearsalReply): void {
    if (reply.kind === 'ready') {
      this.#isReady = true
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
        return running.onPassed(running.at - 1)
      case 'done':
        if (reply.isSwollen) this.#discard()
        this.#lost = 0
        return this.#conclude({ kind: 'done' })
      case 'refused':
        return this.#end({ code: 'statement_refused', message: reply.message })
      case 'unavailable':
        this.#options.logger.warn({ reason: reply.reason }, 'no write can be rehearsed here: writes are proposed untried')
        return this.#conclude({ kind: 'unavailable' })
      case 'failed':
        this.#options.logger.warn({ reason: reply.message }, 'a write could not be rehearsed')
        return this.#end({ code: 'internal', message: 'the write could not be tried; nothing was changed' })
    }
  }

  #beginWrite(running: Running): void {
    const limit = running.writes[running.at]?.limit
    if (limit === undefined) return
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
    const running = this.#running
    if (!wasReady) {
      this.#options.logger.error({ reason: end.reason }, 'the rehearsal process did not start: writes are proposed untried')
      return this.#conclude({ kind: 'unavailable' })
    }
    if (running === undefined) return
    // Somebody else's signal: an administrator's, or the kernel's when memory is short.
    if (end.cause === 'killed' && running.cause === undefined && this.#lost < lostMax) {
      this.#lost += 1
      return this.#conclude({ kind: 'interrupted', passed: running.at })
    }
    this.#end(this.#problemOf(running, end))
    // The next one is there when it is needed.
    if (!this.#isClosed) this.#process ??= this.#start()
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
    clearTimeout(running.timer)
    clearInterval(this.#look)
    this.#running = undefined
    if (this.#pin?.inTransaction === true) this.#pin.exec('COMMIT')
    running.settle(end)
  }
}
