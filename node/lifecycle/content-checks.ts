// Has all nodes read through their databases now and then, at the same entry of the log, and compares what they found (check-verdict.ts). The leader does it, whoever that is: it
// proposes the entry, asks every member for its finding, and proposes the verdict, by which each node judges itself (node/store/database-checks.ts). A leader that is wrong
// itself, or does not know, hands over to one that is right: who is rebuilt takes its copy from the leader.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { ok, type Result } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { CheckReport, CheckResult } from '../replica/check-report.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica, ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import { verdictOf, type Verdict } from './check-verdict.ts'

export interface ContentChecksOptions {
  readonly replica: Pick<Replica, 'leads' | 'standing' | 'status' | 'transferLeadership'>
  /** An entry that changes no data. */
  readonly propose: (payload: Uint8Array, options: { readonly timeoutMs: number }) => Promise<Result<Applied, ReplicaProblem>>
  /** Of this node. */
  readonly own: {
    report(): CheckReport
    result(): CheckResult
    onResult(listener: (result: CheckResult) => void): void
  }
  /** Of another member; undefined: no answer. */
  readonly ask: (member: NodeId) => Promise<CheckReport | undefined>
  readonly encode: (
    mark:
      | { readonly kind: 'begin' }
      | { readonly kind: 'verdict'; readonly index: number; readonly content: string | undefined }
      | { readonly kind: 'given-up'; readonly index: number },
  ) => Uint8Array
  /** 0: only when somebody asks for one. */
  readonly intervalMs: number
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

const lookEveryMs = 1_000
const proposeMsMax = 10_000
const handOverMsMax = 5_000
/** How often members are asked whether they want to be looked at. */
const askEveryMs = 15_000
/** After a start there is other work; and a node that is killed over and over does not keep all others reading. */
const afterStartMs = 60_000
const betweenMs = 10 * 60_000
/** When none came of it: too much was written meanwhile, say. */
const againMs = 60 * 60_000
/** One of which nothing was heard for so long is no longer under way: whoever asks for one gets another. */
const underWayMs = 60 * 60_000
/** A member that is not heard of for so long while the others wait for it is not waited for. */
const patienceMs = 5 * 60_000

interface Gathering {
  readonly index: number
  readonly reports: Map<NodeId, CheckReport>
  /** When somebody was last heard of who is still looking, or nobody had been asked yet. */
  heardAtMs: number
}

export class ContentChecks {
  readonly #options: ContentChecksOptions
  readonly #logger: Logger
  readonly #stop: () => void
  readonly #startedAtMs: number
  #begunAtMs: number | undefined
  #knownMark = 0
  #askedAtMs: number
  #isWanted = false
  #hasFailed = false
  #gathering: Gathering | undefined
  #isBusy = false
  #beginning: Promise<Result<{ readonly index: number }, ReplicaProblem>> | undefined

  constructor(options: ContentChecksOptions) {
    const { clock, own, metrics } = options
    this.#options = options
    this.#logger = options.logger.child({ part: 'checks' })
    this.#startedAtMs = clock.monotonicMs()
    this.#askedAtMs = this.#startedAtMs
    const counter = metrics.counter({
      name: 'securesql_database_checks_total',
      help: 'How checks of the whole database ended on this node. `differs`: it is being rebuilt from the others. `unclear`: no majority has found the same, a person must decide.',
      labels: { result: ['agrees', 'differs', 'unclear', 'failed'] as const },
    })
    let agreedAtMs = 0
    own.onResult((result) => {
      if (result === 'agrees') agreedAtMs = clock.wallMs()
      if (result === 'agrees' || result === 'differs' || result === 'unclear' || result === 'failed') counter.add({ result })
      this.#hasFailed = result === 'failed'
    })
    metrics.gauge({
      name: 'securesql_database_check_agreed_timestamp_seconds',
      help: 'When the database was last found to be what most nodes have, in seconds since the epoch; 0: not since this start.',
      read: () => agreedAtMs / 1_000,
    })
    metrics.gauge({
      name: 'securesql_database_check_unclear',
      help: '1 where the last check found no majority with the same database: a person must decide.',
      read: () => (own.result() === 'unclear' ? 1 : 0),
    })
    this.#stop = clock.every(lookEveryMs, () => this.#look())
  }

  close(): void {
    this.#stop()
  }

  /**
   * Has all nodes look now; gives the entry behind which they do. Only where this node leads. One that is under way is not begun anew: each would end the one before it on all
   * nodes, and whoever asks often enough would see to it that none ever ends.
   */
  async begin(asked: { readonly timeoutMs: number }): Promise<Result<{ readonly index: number }, ReplicaProblem>> {
    const { propose, encode, replica } = this.#options
    const underWay = replica.leads() ? this.#underWay() : undefined
    if (underWay !== undefined) return ok({ index: underWay })
    this.#beginning ??= propose(encode({ kind: 'begin' }), asked).finally(() => {
      this.#beginning = undefined
    })
    return this.#beginning
  }

  #underWay(): number | undefined {
    const { markIndex, verdictIndex } = this.#options.own.report()
    if (markIndex <= verdictIndex) return undefined
    if (markIndex !== this.#knownMark) return markIndex // so new that it was not even looked at
    const heardAtMs = Math.max(this.#begunAtMs ?? 0, this.#gathering?.index === markIndex ? this.#gathering.heardAtMs : 0)
    return this.#options.clock.monotonicMs() - heardAtMs < underWayMs ? markIndex : undefined
  }

  #look(): void {
    const { replica, own, clock } = this.#options
    const report = own.report()
    if (report.markIndex !== this.#knownMark) {
      this.#knownMark = report.markIndex
      this.#begunAtMs = clock.monotonicMs()
      this.#isWanted = false
    }
    if (!replica.leads() || replica.standing() !== 'member') this.#gathering = undefined
    else if (!this.#isBusy) {
      this.#isBusy = true
      void this.#lead(report).finally(() => {
        this.#isBusy = false
      })
    }
  }

  async #lead(report: CheckReport): Promise<void> {
    if (report.markIndex > report.verdictIndex) return this.#compare(report.markIndex)
    this.#gathering = undefined
    await this.#askWhoWants(report)
    if (!this.#isDue()) return undefined
    const begun = await this.begin({ timeoutMs: proposeMsMax })
    if (!begun.ok) this.#logger.warn({ code: begun.problem.code }, 'a check of the databases could not be proposed')
  }

  #isDue(): boolean {
    const { clock, intervalMs } = this.#options
    if (intervalMs === 0) return false
    const nowMs = clock.monotonicMs()
    const sinceMs = nowMs - (this.#begunAtMs ?? this.#startedAtMs)
    if (sinceMs >= intervalMs) return true
    if (nowMs - this.#startedAtMs < afterStartMs) return false
    if (this.#hasFailed) return sinceMs >= againMs
    return this.#isWanted && (this.#begunAtMs === undefined || sinceMs >= betweenMs)
  }

  async #askWhoWants(own: CheckReport): Promise<void> {
    const { clock } = this.#options
    if (own.isWanted) this.#isWanted = true
    if (clock.monotonicMs() - this.#askedAtMs < askEveryMs) return
    this.#askedAtMs = clock.monotonicMs()
    const reports = await Promise.all(this.#others().map((id) => this.#options.ask(id)))
    for (const report of reports) {
      if (report?.isWanted === true) this.#isWanted = true
      if (report?.finding.kind === 'failed') this.#hasFailed = true
    }
  }

  async #compare(index: number): Promise<void> {
    const { replica, clock, own } = this.#options
    if (this.#gathering?.index !== index) this.#gathering = { index, reports: new Map(), heardAtMs: clock.monotonicMs() }
    const { reports } = this.#gathering
    reports.set(replica.status().id, own.report())
    await Promise.all(
      this.#others().map(async (id) => {
        const report = await this.#options.ask(id)
        if (report !== undefined) reports.set(id, report)
        if (report?.finding.kind === 'running') this.#heard()
      }),
    )
    if (own.report().finding.kind === 'running') this.#heard()
    // It may have lost the lead meanwhile.
    if (this.#gathering?.index === index && replica.leads()) await this.#conclude(this.#gathering)
  }

  #heard(): void {
    if (this.#gathering !== undefined) this.#gathering.heardAtMs = this.#options.clock.monotonicMs()
  }

  async #conclude({ index, reports, heardAtMs }: Gathering): Promise<void> {
    const { replica, clock } = this.#options
    const { id: self, membership } = replica.status()
    const voters = new Set(membership.members.filter(({ suffrage }) => suffrage === 'voter').map(({ id }) => id))
    const isPatient = clock.monotonicMs() - heardAtMs < patienceMs
    const verdict = verdictOf({ index, voters, reports, isPatient })
    switch (verdict.kind) {
      case 'open':
        return undefined
      case 'right':
        return verdict.sound.includes(self) ? this.#tell(index, verdict) : this.#concludeInDoubt(index, verdict)
      case 'unclear':
        this.#logger.error(
          { code: 'check_unclear', index, findings: Array.from(reports, ([id, { finding }]) => ({ id, ...finding })) },
          'no majority of the voters has found the same in its database: nothing was changed; a person must decide (docs/operations.md)',
        )
        return this.#propose({ kind: 'verdict', index, content: undefined })
      case 'failed':
        this.#logger.warn({ code: 'check_failed', index }, 'too few voters could look at their databases; it is tried again')
        return this.#propose({ kind: 'given-up', index })
    }
  }

  /** This node leads and has not found what is right. */
  async #concludeInDoubt(index: number, verdict: Extract<Verdict, { readonly kind: 'right' }>): Promise<void> {
    const { replica } = this.#options
    const [heir] = verdict.sound
    if (verdict.wrong.length === 0) return verdict.isWhole ? this.#tell(index, verdict) : undefined
    this.#logger.warn({ index, to: heir }, 'leadership goes to a node whose database is what most have')
    const done = await replica.transferLeadership({ to: heir, timeoutMs: handOverMsMax })
    if (!done.ok) this.#logger.warn({ code: done.problem.code }, 'nobody took over leadership')
  }

  #tell(index: number, { content, sound, wrong }: Extract<Verdict, { readonly kind: 'right' }>): Promise<void> {
    if (wrong.length > 0) this.#logger.error({ code: 'database_differs', index, sound, wrong }, 'databases differ: who is wrong is rebuilt')
    else this.#logger.info({ index, sound }, 'databases compared: all that were read hold the same')
    return this.#propose({ kind: 'verdict', index, content })
  }

  async #propose(mark: Parameters<ContentChecksOptions['encode']>[0]): Promise<void> {
    const { propose, encode } = this.#options
    const proposed = await propose(encode(mark), { timeoutMs: proposeMsMax })
    if (!proposed.ok) this.#logger.warn({ code: proposed.problem.code }, 'the verdict of a check could not be proposed')
  }

  #others(): readonly NodeId[] {
    const { id: self, membership } = this.#options.replica.status()
    return membership.members.map(({ id }) => id).filter((id) => id !== self)
  }
}
