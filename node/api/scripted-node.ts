// A node for tests of the API: the replica, the reader and the view do what the test says, and remember what they were asked.
import { Readable } from 'node:stream'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Command, Statement, StatementResult } from '../command/command.ts'
import { decodeCommand } from '../command/command-codec.ts'
import { decodeLoadStep, isLoadStep, type LoadStep } from '../command/load-step.ts'
import type { Member, MembershipChange, NodeId } from '../raft/membership.ts'
import type { RaftEvent, RaftStatus } from '../raft/raft-port.ts'
import type { CheckFinding, CheckReport, CheckResult } from '../replica/check-report.ts'
import type { EntryPlace, ProposeOptions, Replica, ReplicaProblem, Standing } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { BackupOptions, BackupProblem, Backups } from './backups.ts'
import type { Checks } from './checks.ts'
import type { Compacted, Compactor } from './compactor.ts'
import type { FileForm, FileIntake, FileProblem, IncomingFile } from './file-intake.ts'
import type { ForwardedReply, ForwardedRequest, Forwarder, ForwardProblem } from './forwarder.ts'
import type { NodeFacts, NodeView, Reachability, StoreFacts } from './node-view.ts'
import type { Judgement, OnPassed, Rehearsal, RehearsalEnd, RehearsedWrite } from './rehearsal.ts'
import type { Read, ReadOptions, ReadProblem, Reader } from './reader.ts'

export function nodeId(name: string): NodeId {
  return name as NodeId
}

export function member(name: string, suffrage: Member['suffrage'] = 'voter'): Member {
  return { id: nodeId(name), incarnation: `${name}-1`, raftAddress: `${name}:4002`, apiUrl: `https://${name}:4001`, suffrage }
}

export class ScriptedReplica implements Replica {
  state: RaftStatus
  contactAgeMs = 0
  itsStanding: Standing = 'member'
  /** Answers in order; when they run out, everything succeeds. */
  readonly proposals: Result<Applied, ReplicaProblem>[] = []
  readonly barriers: Result<number, ReplicaProblem>[] = []
  applied: Result<number, ReplicaProblem> = ok(1)
  transferred: Result<void, ReplicaProblem> = ok(undefined)
  /** What a successful proposal answers. */
  results: readonly StatementResult[] = [{ kind: 'written', lastInsertId: 1n, rowsAffected: 1, seconds: 0 }]
  readonly proposed: Command[] = []
  readonly steps: LoadStep[] = []
  readonly timeoutsMs: number[] = []
  readonly membershipAnswers: Result<Applied, ReplicaProblem>[] = []
  readonly membershipChanges: MembershipChange[] = []
  readonly transfers: (NodeId | undefined)[] = []
  onTransfer: () => void = () => {}
  beforeAnswer: () => Promise<void> = () => Promise.resolve()
  readonly #listeners: ((event: RaftEvent) => void)[] = []

  constructor(id: string, leader: string | undefined, members: readonly Member[] = [member('n1'), member('n2'), member('n3')]) {
    const suffrage = members.find((known) => known.id === id)?.suffrage
    this.state = {
      id: nodeId(id),
      term: 3,
      votedFor: undefined,
      role: leader === id ? 'leader' : suffrage === 'learner' ? 'learner' : 'follower',
      leader: leader === undefined ? undefined : nodeId(leader),
      commitIndex: 7,
      appliedIndex: 7,
      lastIndex: 7,
      lastTerm: 3,
      membership: { members },
      followers: [],
      trust: 'trusted',
    }
  }

  async propose(payload: Uint8Array, { timeoutMs, onPlaced }: ProposeOptions): Promise<Result<Applied, ReplicaProblem>> {
    this.timeoutsMs.push(timeoutMs)
    onPlaced?.({ index: 8, term: 3 })
    await this.beforeAnswer()
    if (isLoadStep(payload)) return this.#takeStep(payload)
    const command = decodeCommand(payload)
    if (!command.ok) throw new Error(command.problem)
    const answer = this.proposals.shift() ?? ok({ index: 8, term: 3, outcome: { results: this.results } })
    if (answer.ok) this.proposed.push(command.value)
    return answer
  }

  #takeStep(payload: Uint8Array): Result<Applied, ReplicaProblem> {
    const step = decodeLoadStep(payload)
    if (!step.ok) throw new Error(step.problem)
    this.steps.push(step.value)
    return this.proposals.shift() ?? ok({ index: 8, term: 3, outcome: { results: this.results } })
  }

  changeMembership(change: MembershipChange): Promise<Result<Applied, ReplicaProblem>> {
    const answer = this.membershipAnswers.shift() ?? ok({ index: 8, term: 3, outcome: undefined })
    if (answer.ok) this.membershipChanges.push(change)
    return Promise.resolve(answer)
  }

  readBarrier({ timeoutMs }: { readonly timeoutMs: number }): Promise<Result<number, ReplicaProblem>> {
    this.timeoutsMs.push(timeoutMs)
    return Promise.resolve(this.barriers.shift() ?? ok(7))
  }

  whenApplied(): Promise<Result<number, ReplicaProblem>> {
    return Promise.resolve(this.applied)
  }

  transferLeadership({ to }: { readonly to: NodeId | undefined }): Promise<Result<void, ReplicaProblem>> {
    this.transfers.push(to)
    this.onTransfer()
    return Promise.resolve(this.transferred)
  }

  status(): RaftStatus {
    return this.state
  }

  leads(): boolean {
    return this.state.role === 'leader'
  }

  standing(): Standing {
    return this.itsStanding
  }

  leaderContactAgeMs(): number {
    return this.contactAgeMs
  }

  onEvent(listener: (event: RaftEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** Another node leads from now on, or nobody; whoever listens is told. */
  follow(leader: string | undefined): void {
    this.state = {
      ...this.state,
      role: leader === this.state.id ? 'leader' : 'follower',
      leader: leader === undefined ? undefined : nodeId(leader),
    }
    const { term } = this.state
    const event =
      this.state.role === 'leader'
        ? ({ kind: 'became-leader', term } as const)
        : ({ kind: 'became-follower', term, leader: this.state.leader } as const)
    for (const listener of this.#listeners) listener(event)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export class ScriptedReader implements Reader {
  results: readonly StatementResult[] = []
  problem: ReadProblem | undefined
  ended: Read['ended']
  reads = true
  readonly asked: { readonly statements: readonly Statement[]; readonly options: ReadOptions }[] = []

  query(statements: readonly Statement[], options: ReadOptions): Promise<Result<Read, ReadProblem>> {
    this.asked.push({ statements, options })
    const ended = this.ended === undefined ? {} : { ended: this.ended }
    return Promise.resolve(this.problem === undefined ? ok({ results: this.results, appliedIndex: 7, ...ended }) : fail(this.problem))
  }

  readsOnly(): boolean {
    return this.reads
  }

  asRun(sql: string): ReturnType<Reader['asRun']> {
    return { sql, problem: undefined }
  }
}

/** Everything ends soon unless it is told otherwise. */
export class ScriptedRehearsal implements Rehearsal {
  judgement: (sql: string) => Judgement = () => ({ cost: 1, changesSchema: false })
  readonly rehearsed: (readonly RehearsedWrite[])[] = []
  copied: () => EntryPlace = () => ({ index: 7, term: 3 })
  end: (writes: readonly RehearsedWrite[], onPassed: OnPassed) => Promise<RehearsalEnd> = (writes, onPassed) => {
    for (const at of writes.keys()) onPassed(at, this.copied())
    return Promise.resolve({ kind: 'done' })
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  judge(statements: readonly Statement[]): Judgement {
    return this.judgement(statements.map(({ sql }) => sql).join(';'))
  }

  rehearse(writes: readonly RehearsedWrite[], onPassed: OnPassed): Promise<RehearsalEnd> {
    this.rehearsed.push(writes)
    return this.end(writes, onPassed)
  }
}

export class ScriptedForwarder implements Forwarder {
  readonly sent: { readonly to: NodeId; readonly request: ForwardedRequest }[] = []
  answer: (request: ForwardedRequest) => Promise<Result<ForwardedReply, ForwardProblem>> = () =>
    Promise.resolve(ok({ status: 200, headers: {}, body: new Uint8Array() }))

  forward(to: NodeId, request: ForwardedRequest): Promise<Result<ForwardedReply, ForwardProblem>> {
    this.sent.push({ to, request })
    return this.answer(request)
  }
}

export class ScriptedCompactor implements Compactor {
  answer: Result<Compacted, ReplicaProblem> = ok('compacted')
  readonly asked: (number | undefined)[] = []

  compact({ trailingEntries }: { readonly trailingEntries: number | undefined }): Promise<Result<Compacted, ReplicaProblem>> {
    this.asked.push(trailingEntries)
    return Promise.resolve(this.answer)
  }
}

export class ScriptedChecks implements Checks {
  answer: Result<Applied, ReplicaProblem> = ok({ index: 12, term: 3, outcome: undefined })
  begun = 0
  finding: CheckFinding = { kind: 'none' }
  itsResult: CheckResult = 'none'

  begin(): Promise<Result<Applied, ReplicaProblem>> {
    this.begun += 1
    return Promise.resolve(this.answer)
  }

  report(): CheckReport {
    return { isWanted: true, markIndex: 9, verdictIndex: 0, finding: this.finding }
  }

  result(): CheckResult {
    return this.itsResult
  }

  stateHashAt(index: number): string | undefined {
    return index === 7 ? '00112233445566ff' : undefined
  }

  endedAtMs(): number | undefined {
    return this.itsResult === 'none' ? undefined : 0
  }
}

/** Takes any file; what it finds is what the test says. */
export class ScriptedIntake implements FileIntake {
  problem: FileProblem | undefined
  isBusy = false
  readonly received: Uint8Array[] = []
  readonly forms: FileForm[] = []
  discarded = 0

  begin(): Result<IncomingFile, FileProblem> {
    if (this.isBusy) return fail({ code: 'overloaded', message: 'another file is being received' })
    const chunks: Uint8Array[] = []
    return ok({
      write: (bytes) => {
        chunks.push(Uint8Array.from(bytes))
        return Promise.resolve(ok(undefined))
      },
      examine: ({ form }) => {
        this.forms.push(form)
        const whole = Buffer.concat(chunks)
        this.received.push(whole)
        const read = (offset: number, length: number): Promise<Uint8Array> => Promise.resolve(whole.subarray(offset, offset + length))
        return Promise.resolve(this.problem === undefined ? ok({ bytes: whole.length, hash: 'ab'.repeat(32), read }) : fail(this.problem))
      },
      discard: () => {
        this.discarded += 1
        return Promise.resolve()
      },
    })
  }
}

export class ScriptedBackups implements Backups {
  readonly asked: BackupOptions[] = []
  answer: () => Result<Readable, BackupProblem> = () => ok(Readable.from([Buffer.from('the '), Buffer.from('backup')]))

  make(options: BackupOptions): Promise<Result<Readable, BackupProblem>> {
    this.asked.push(options)
    return Promise.resolve(this.answer())
  }
}

export class ScriptedView implements NodeView {
  readonly facts: NodeFacts
  current: Replica | undefined
  unreachable = new Set<string>()

  constructor(id: string, replica: Replica | undefined) {
    this.current = replica
    this.facts = {
      id: nodeId(id),
      version: 'v0.1.0',
      startedAtMs: Date.now() - 61_000,
      raftAddress: `${id}:4002`,
      apiUrl: `https://${id}:4001`,
      httpBindAddress: '127.0.0.1:4001',
      tls: { api: true, apiVerifyClient: false, node: true, nodeVerifyClient: true },
      dataDir: '/data',
      settings: {
        heartbeatTimeoutMs: 1000,
        electionTimeoutMs: 1000,
        applyTimeoutMs: 10_000,
        compactionEveryEntries: 8192,
        compactionIntervalMs: 10_000,
        trailingEntries: 10_240,
        reapVoterMs: undefined,
        reapNonVoterMs: undefined,
      },
    }
  }

  replica(): Replica | undefined {
    return this.current
  }

  reach(to: Member): Promise<Reachability> {
    return Promise.resolve(
      this.unreachable.has(to.id)
        ? { reachable: false, seconds: 0, version: undefined, error: 'connection refused' }
        : { reachable: true, seconds: 0.001, version: 'v0.1.0', error: undefined },
    )
  }

  store(): StoreFacts {
    return {
      sqliteVersion: '3.54.1',
      foreignKeys: false,
      databaseBytes: 4096,
      walBytes: 0,
      logBytes: 100,
      logBaseIndex: 2,
      logBaseTerm: 1,
      snapshotBytes: 0,
    }
  }
}
