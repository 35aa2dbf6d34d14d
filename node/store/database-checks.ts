// Checks of the whole database. SQLite has no checksums of its pages, so what a disk changes is noticed by whoever reads that page, perhaps in a year, perhaps when the sound
// copies are gone. So now and then an entry of the log has every node read all of its database, as it is behind that very entry, in a process of its own (check-process.ts). The
// leader compares what they found (node/lifecycle/content-checks.ts), and a second entry says what most of them have. Whoever has something else, or whose file SQLite finds
// damaged, is disowned: it serves nothing and is rebuilt from the others, as one whose state hash differs (docs/adr/0022).
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type Database from 'better-sqlite3'
import type { CheckFinding, CheckReport, CheckResult } from '../replica/check-report.ts'
import type { Divergence } from '../replica/state-machine.ts'
import { pinForCheck, removeCheckCopy } from './check-copy.ts'
import type { CheckMark } from './check-mark.ts'
import type { CheckReply } from './check-messages.ts'
import { freeBytesBeside } from './disk-space.ts'
import type { NewContent } from './database-replacement.ts'
import { damageIn } from './integrity.ts'
import { KillableProcess } from './killable-process.ts'
import type { StoreLogger } from './store-logger.ts'

export interface DatabaseChecksOptions {
  readonly databasePath: string
  /** The database was not closed as usual, or this is its first start. */
  readonly isWanted: boolean
  /** The WAL must not be emptied, or may be again. */
  readonly holdWal: (state: 'held' | 'free') => void
  /** What this node holds is not what most of the others hold. */
  readonly disown: (divergence: Divergence) => void
  readonly logger: StoreLogger
  /** What may be written to the WAL meanwhile; half of the free disk when that is less. */
  readonly walBytesMax?: number
  /** In milliseconds: how long a verdict is waited for. */
  readonly verdictMsMax?: number
}

/**
 * While the database is read its WAL only grows, and reads take longer the longer it is. Beyond this the check is given up and made another time.
 */
const walBytesMax = 256 * 1024 * 1024
const lookEveryMs = 500
/** So long, and four times as long as this node has read, the others may take until a verdict must have come. */
const verdictMsMax = 60 * 60_000

interface Running {
  readonly index: number
  readonly pin: Database.Database
  readonly child: KillableProcess<never, CheckReply>
  readonly look: NodeJS.Timeout
  readonly startedAtMs: number
  readonly walBytesMax: number
  reply: CheckReply | undefined
}

export class DatabaseChecks {
  readonly #options: DatabaseChecksOptions
  readonly #directory: string
  #running: Running | undefined
  #finding: CheckFinding = { kind: 'none' }
  #markIndex = 0
  #verdict: Exclude<CheckMark, { kind: 'begin' }> = { kind: 'verdict', index: 0, content: undefined }
  #isWanted: boolean
  #endedAtMs: number | undefined
  #readMs = 0
  #patience: NodeJS.Timeout | undefined
  #listener: (result: CheckResult) => void = () => {}

  constructor(options: DatabaseChecksOptions) {
    this.#options = options
    this.#isWanted = options.isWanted
    this.#directory = join(dirname(options.databasePath), 'check')
    removeCheckCopy(this.#directory)
  }

  /** How each check of this node ended. */
  onResult(listener: (result: CheckResult) => void): void {
    this.#listener = listener
  }

  /** Whoever applies entries has just applied this one, and nothing behind it. */
  mark(mark: CheckMark, index: number): void {
    if (mark.kind === 'begin') return this.#begin(index)
    if (mark.index < this.#verdict.index) return undefined
    this.#verdict = mark
    return this.#judge()
  }

  report(): CheckReport {
    return { isWanted: this.#isWanted, markIndex: this.#markIndex, verdictIndex: this.#verdict.index, finding: this.#finding }
  }

  result(): CheckResult {
    const finding = this.#finding
    if (finding.kind !== 'found') return finding.kind
    if (finding.index !== this.#verdict.index) return 'waiting'
    if (this.#verdict.kind === 'given-up') return 'failed'
    if (this.#verdict.content === undefined) return 'unclear'
    return finding.content === this.#verdict.content && finding.faults.length === 0 ? 'agrees' : 'differs'
  }

  /** When the last one ended, by Date.now(). */
  get endedAtMs(): number | undefined {
    return this.#endedAtMs
  }

  /** The database is about to be replaced: what was found in this one says nothing of another. */
  suspend(content: NewContent): void {
    this.#abandon('the database has been replaced')
    if (content === 'other') this.#finding = { kind: 'none' }
  }

  resume(): void {}

  close(): void {
    clearTimeout(this.#patience)
    this.#abandon('the node has stopped')
  }

  #begin(index: number): void {
    this.#abandon('another one has begun')
    this.#markIndex = index
    const { databasePath, holdWal, logger } = this.#options
    let pin: Database.Database
    try {
      pin = pinForCheck({ databasePath, directory: this.#directory })
    } catch (error) {
      const damage = damageIn(error)
      if (damage !== undefined) return this.#found({ kind: 'found', index, faults: [damage], content: undefined })
      return this.#failed(index, error instanceof Error ? error.message : String(error))
    }
    holdWal('held')
    logger.info({ index }, 'check of the database begins')
    const child = new KillableProcess<never, CheckReply>({
      file: new URL('check-process.ts', import.meta.url),
      arguments: [this.#directory],
      onReply: (reply) => this.#replied(child, reply),
      onEnded: ({ reason }) => {
        if (this.#running?.child === child) this.#ended(reason)
      },
    })
    this.#finding = { kind: 'running', index, phase: 'structure' }
    this.#running = {
      index,
      pin,
      child,
      look: setInterval(() => this.#lookAtWal(), lookEveryMs),
      startedAtMs: performance.now(),
      walBytesMax: Math.min(this.#options.walBytesMax ?? walBytesMax, freeBytesBeside(databasePath)() / 2),
      reply: undefined,
    }
    setImmediate(() => this.#lookAtWal())
  }

  #replied(child: Running['child'], reply: CheckReply): void {
    const running = this.#running
    if (running?.child !== child) return
    if (reply.kind !== 'structure-read') running.reply = reply
    else if (this.#finding.kind === 'running') this.#finding = { ...this.#finding, phase: 'content' }
  }

  /** The process is gone, and with it whatever it had open. */
  #ended(reason: string): void {
    const running = this.#running
    if (running === undefined) return
    const { index, reply } = running
    this.#release()
    if (reply?.kind !== 'found') return this.#failed(index, reply?.kind === 'failed' ? reply.reason : `its process has ended: ${reason}`)
    const { faults, content, appliedIndex } = reply
    if (content !== undefined && appliedIndex !== index) return this.#failed(index, `its copy stands at entry ${appliedIndex}`)
    const ms = Math.round(performance.now() - running.startedAtMs)
    this.#readMs = ms
    const { logger } = this.#options
    if (faults.length > 0) logger.error({ code: 'database_damaged', index, faults }, 'SQLite finds the database damaged')
    else logger.info({ index, content, ms }, 'the database was read through')
    this.#found({ kind: 'found', index, faults, content })
  }

  #found(finding: Extract<CheckFinding, { kind: 'found' }>): void {
    this.#finding = finding
    this.#endedAtMs = Date.now()
    this.#isWanted = false
    this.#judge()
  }

  #failed(index: number, reason: string): void {
    this.#finding = { kind: 'failed', index, reason }
    this.#endedAtMs = Date.now()
    this.#options.logger.warn({ code: 'check_failed', index, reason }, 'the database could not be checked; it is tried again')
    this.#listener('failed')
  }

  /** Called when either side is there: what was found here, what most have found. */
  #judge(): void {
    const finding = this.#finding
    const result = this.result()
    if (finding.kind !== 'found') return
    if (result === 'waiting') return this.#waitForVerdict(finding.index)
    clearTimeout(this.#patience)
    const verdict = this.#verdict
    if (verdict.kind === 'given-up') return this.#failed(finding.index, `too few nodes could look at theirs${told(finding.faults)}`)
    this.#listener(result)
    const { logger, disown } = this.#options
    const { index, content, faults } = finding
    if (result === 'agrees') return logger.info({ index }, 'the database is what most nodes have')
    if (result === 'unclear')
      return logger.error(
        { code: 'check_unclear', index, content, faults },
        'no majority of the voters has found the same in its database: nothing was changed; a person must decide (docs/operations.md)',
      )
    const expected = verdict.content ?? ''
    return disown({ index, own: content ?? faults[0] ?? '', expected })
  }

  /** The leader may have forgotten that it asked: it has been restarted, say. */
  #waitForVerdict(index: number): void {
    clearTimeout(this.#patience)
    const waitMs = (this.#options.verdictMsMax ?? verdictMsMax) + this.#readMs * 4
    this.#patience = setTimeout(() => {
      const finding = this.#finding
      if (finding.kind !== 'found' || finding.index !== index || this.result() !== 'waiting') return
      this.#failed(index, `no verdict has come${told(finding.faults)}`)
    }, waitMs).unref()
  }

  #lookAtWal(): void {
    const running = this.#running
    const bytes = statSync(`${this.#options.databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0
    if (running !== undefined && bytes > running.walBytesMax) this.#abandon('too much was written meanwhile')
  }

  #abandon(reason: string): void {
    const running = this.#running
    if (running === undefined) return
    running.child.kill()
    this.#release()
    this.#failed(running.index, reason)
  }

  #release(): void {
    const running = this.#running
    if (running === undefined) return
    clearInterval(running.look)
    this.#running = undefined
    running.pin.close()
    removeCheckCopy(this.#directory)
    this.#options.holdWal('free')
  }
}

/** What of a finding must not be lost with it. */
function told([fault]: readonly string[]): string {
  return fault === undefined ? '' : `; SQLite finds this one damaged: ${fault}`
}
