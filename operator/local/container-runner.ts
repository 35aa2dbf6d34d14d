// Keeps one container's process running: starts it, asks its probes, starts it again with back-off when it ends, ends it when told to.
import type { Logger } from 'pino'
import type { BackOff } from '../../runtime/back-off.ts'
import { backOffMs } from '../../runtime/back-off.ts'
import type { Clock } from '../controller/clock.ts'
import { pause } from '../controller/clock.ts'
import { LocalProcess } from './local-process.ts'
import type { ExitReport, LocalProcessOptions } from './local-process.ts'
import type { Endpoint } from './local-addresses.ts'
import type { ProbePlan } from './pod-plan.ts'
import type { ContainerPhase } from './pod-status.ts'
import { probe } from './probe.ts'

export interface ContainerProbe {
  readonly plan: ProbePlan
  readonly endpoint: Endpoint
}

export interface ContainerRunnerOptions {
  readonly process: Omit<LocalProcessOptions, 'clock'>
  readonly startup: ContainerProbe | undefined
  readonly readiness: ContainerProbe | undefined
  readonly liveness: ContainerProbe | undefined
  readonly gracePeriodMs: number
  readonly restartBackOff: BackOff
  readonly clock: Clock
  readonly log: Logger
  /** Something of `facts` changed. Must return at once. */
  readonly onChange: () => void
}

export interface ContainerFacts {
  readonly phase: ContainerPhase
  readonly ready: boolean
  readonly readySince: string
  readonly restarts: number
  readonly lastExit: (ExitReport & { readonly finishedAt: string }) | undefined
  readonly pid: number | undefined
}

/** A container that ran this long is well: its next crash is a first one again (kubernetes.io, "Container restart policy"). */
const wellAfterMs = 600_000
/** While a container is not ready it is asked more often than its specification says: here nothing is spared by waiting. */
const hastyPeriodMs = 250

export class ContainerRunner {
  readonly #options: ContainerRunnerOptions
  readonly #stopping = new AbortController()
  readonly #ended: Promise<void>
  #facts: ContainerFacts
  #process: LocalProcess | undefined

  constructor(options: ContainerRunnerOptions) {
    this.#options = options
    const phase = { kind: 'waiting', reason: 'ContainerCreating', message: '' } as const
    this.#facts = { phase, ready: false, readySince: this.#now(), restarts: 0, lastExit: undefined, pid: undefined }
    this.#ended = this.#run()
  }

  get facts(): ContainerFacts {
    return this.#facts
  }

  /** Ends the process within its grace period; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#process?.stop(this.#options.gracePeriodMs)
    await this.#ended
  }

  /** SIGKILL to the process and what it started; nobody waits. */
  killNow(): void {
    this.#stopping.abort()
    this.#process?.kill()
  }

  async #run(): Promise<void> {
    const { clock, log, restartBackOff } = this.#options
    let crashes = 0
    while (!this.#stopping.signal.aborted) {
      const beganMs = clock.monotonicMs()
      const exit = await this.#runOnce()
      if (this.#stopping.signal.aborted) return
      crashes = clock.monotonicMs() - beganMs >= wellAfterMs ? 1 : crashes + 1
      const delayMs = backOffMs(restartBackOff, crashes)
      log.warn({ exit, restartInMs: delayMs }, 'a container ended')
      this.#update({
        phase: { kind: 'waiting', reason: 'CrashLoopBackOff', message: `back-off ${delayMs} ms` },
        ready: false,
        lastExit: { ...exit, finishedAt: this.#now() },
        pid: undefined,
      })
      await pause(clock, delayMs, this.#stopping.signal)
      this.#update({ restarts: this.#facts.restarts + 1 })
    }
  }

  async #runOnce(): Promise<ExitReport> {
    const { clock, process } = this.#options
    const running = new LocalProcess({ ...process, clock })
    this.#process = running
    this.#update({ phase: { kind: 'running', startedAt: this.#now() }, pid: running.pid })
    const over = new AbortController()
    const probes = this.#ask(running, over.signal)
    const exit = await running.exited
    over.abort()
    await probes
    return exit
  }

  /** The other probes begin when the startup probe has been answered (kubernetes.io, "Startup probes"). */
  async #ask(running: LocalProcess, over: AbortSignal): Promise<void> {
    const { startup, readiness, liveness } = this.#options
    if (startup !== undefined) await this.#askStartup(startup, running, over)
    if (over.aborted) return
    await Promise.all([this.#askReadiness(readiness, over), this.#askLiveness(liveness, running, over)])
  }

  async #askStartup(asked: ContainerProbe, running: LocalProcess, over: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const { plan } = asked
    const started = new AbortController()
    // Asked more often than it says, so the number of failures that it allows is taken as the time that they would take.
    const patienceMs = plan.initialDelayMs + plan.periodMs * plan.failureThreshold
    const deadlineMs = clock.monotonicMs() + patienceMs
    await this.#askRepeatedly(asked, AbortSignal.any([over, started.signal]), {
      periodMs: () => Math.min(plan.periodMs, hastyPeriodMs),
      onGood: () => started.abort(),
      onBad: () => {
        if (clock.monotonicMs() >= deadlineMs) this.#end(running, 'startup')
      },
    })
  }

  /** Without a readiness probe a container is ready when it runs. */
  async #askReadiness(asked: ContainerProbe | undefined, over: AbortSignal): Promise<void> {
    if (asked === undefined) return this.#update({ ready: true })
    const { plan } = asked
    await this.#askRepeatedly(asked, over, {
      periodMs: () => (this.#facts.ready ? plan.periodMs : Math.min(plan.periodMs, hastyPeriodMs)),
      onGood: (times) => {
        if (times >= plan.successThreshold) this.#update({ ready: true })
      },
      onBad: (times) => {
        if (times >= plan.failureThreshold) this.#update({ ready: false })
      },
    })
  }

  async #askLiveness(asked: ContainerProbe | undefined, running: LocalProcess, over: AbortSignal): Promise<void> {
    if (asked === undefined) return
    await this.#askRepeatedly(asked, over, {
      periodMs: () => asked.plan.periodMs,
      onGood: () => {},
      onBad: (times) => {
        if (times === asked.plan.failureThreshold) this.#end(running, 'liveness')
      },
    })
  }

  #end(running: LocalProcess, probe: string): void {
    this.#options.log.warn({ probe }, 'a probe failed: the container is ended')
    void running.stop(this.#options.gracePeriodMs)
  }

  async #askRepeatedly(asked: ContainerProbe, over: AbortSignal, react: ProbeReaction): Promise<void> {
    const { plan, endpoint } = asked
    await pause(this.#options.clock, plan.initialDelayMs, over)
    let good = 0
    let bad = 0
    while (!over.aborted) {
      const answered = await probe({ ...endpoint, scheme: plan.scheme, path: plan.path, timeoutMs: plan.timeoutMs })
      if (over.aborted) return
      good = answered ? good + 1 : 0
      bad = answered ? 0 : bad + 1
      if (answered) react.onGood(good)
      else react.onBad(bad)
      await pause(this.#options.clock, react.periodMs(), over)
    }
  }

  #update(change: Partial<ContainerFacts>): void {
    const before = this.#facts
    this.#facts = { ...before, ...change }
    if (this.#facts.ready !== before.ready) this.#facts = { ...this.#facts, readySince: this.#now() }
    if (Object.entries(this.#facts).some(([field, value]) => value !== before[field as keyof ContainerFacts])) this.#options.onChange()
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString().replace(/\.\d{3}Z$/, 'Z')
  }
}

interface ProbeReaction {
  readonly periodMs: () => number
  readonly onGood: (times: number) => void
  readonly onBad: (times: number) => void
}
