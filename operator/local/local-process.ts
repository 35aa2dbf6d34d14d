// One local process that stands for a container: the leader of a process group of its own, so that whatever it starts ends with it; its output in a file; its
// identity in a pid file, so that a later run can end it when ours was killed and could not.
import { spawn } from 'node:child_process'
import { closeSync, openSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import type { Clock } from '../controller/clock.ts'
import { identityOf, isAlive, signalGroup } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'

export interface LocalProcessOptions {
  readonly program: string
  readonly args: readonly string[]
  /** The whole environment: nothing of ours is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly folder: string
  readonly logFile: string
  readonly pidFile: string
  readonly clock: Clock
}

export interface ExitReport {
  /** 128 + signal when it was ended by one, as container runtimes say it. */
  readonly exitCode: number
  readonly reason: string
}

/** A longer log is put aside at the next start, in the place of the one before: a container that crashes for days fills no disk. */
const logBytesMax = 16 * 1024 * 1024
/** A process that does not go at SIGKILL is stuck in the kernel; waiting longer changes nothing. */
const orphanWaitMs = 5_000
const orphanPollMs = 20

export class LocalProcess {
  readonly pid: number | undefined
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<ExitReport>
  readonly #options: LocalProcessOptions
  #running = true

  constructor(options: LocalProcessOptions) {
    this.#options = options
    if ((statSync(options.logFile, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) renameSync(options.logFile, `${options.logFile}.1`)
    const log = openSync(options.logFile, 'a', 0o600)
    const child = spawn(options.program, options.args, {
      cwd: options.folder,
      env: options.env,
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.pid = child.pid
    // At once: whatever kills us a moment later, the next run finds what we left.
    const identity = this.pid === undefined ? undefined : identityOf(this.pid)
    if (identity !== undefined) writeFileSync(options.pidFile, JSON.stringify(identity), { mode: 0o600 })
    const ended = new Promise<ExitReport>((resolve) => {
      child.once('exit', (code, signal) => resolve(reportOf(code, signal)))
      child.once('error', (err) => resolve({ exitCode: 127, reason: err.message }))
    })
    this.exited = ended.then(async (report) => {
      this.#running = false
      // What it started goes with it.
      if (this.pid !== undefined) signalGroup(this.pid, 'SIGKILL')
      await rm(options.pidFile, { force: true })
      return report
    })
  }

  /** SIGTERM, then SIGKILL after `gracePeriodMs`; resolves when it has ended. */
  async stop(gracePeriodMs: number): Promise<void> {
    if (this.#running && this.pid !== undefined) {
      const { pid } = this
      signalGroup(pid, 'SIGTERM')
      const cancel = this.#options.clock.after(gracePeriodMs, () => signalGroup(pid, 'SIGKILL'))
      await this.exited
      cancel()
    }
    await this.exited
  }

  /** SIGKILL to the whole group. */
  kill(): void {
    if (this.#running && this.pid !== undefined) signalGroup(this.pid, 'SIGKILL')
  }
}

/** Ends the process that a pid file of a former run names, if it is still that very process. */
export async function killOrphan(pidFile: string, clock: Clock): Promise<boolean> {
  const text = await readFile(pidFile, 'utf8').catch(() => undefined)
  const orphan = text === undefined ? undefined : parseIdentity(text)
  let killed = false
  if (orphan !== undefined && isAlive(orphan)) {
    killed = signalGroup(orphan.pid, 'SIGKILL')
    const untilMs = clock.monotonicMs() + orphanWaitMs
    while (isAlive(orphan) && clock.monotonicMs() < untilMs) await new Promise<void>((resolve) => clock.after(orphanPollMs, resolve))
  }
  await rm(pidFile, { force: true })
  return killed
}

/** Undefined for a file that was being written when the machine stopped: the process is not running either then. */
function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null
    const { pid, started } = value ?? {}
    return typeof pid === 'number' && Number.isInteger(pid) && pid > 1 && typeof started === 'string' ? { pid, started } : undefined
  } catch {
    return undefined
  }
}

function reportOf(code: number | null, signal: NodeJS.Signals | null): ExitReport {
  if (code !== null) return { exitCode: code, reason: code === 0 ? 'Completed' : 'Error' }
  return { exitCode: 128 + (signal === 'SIGKILL' ? 9 : signal === 'SIGTERM' ? 15 : 0), reason: signal ?? 'Error' }
}
