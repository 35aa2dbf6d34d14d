// Applies committed entries on one connection: many entries, one transaction, the applied index in it. The log is what makes an entry durable; the database may lose its
// last transactions at a power failure (WAL, synchronous NORMAL) and is then a whole, older state that the log brings forward again. The same code runs on the main thread
// and on the thread for long statements; whatever it answers depends on the entries and the data alone.
//
// One trap decides the shape: a statement may roll back the *whole* transaction in spite of savepoints (OR ROLLBACK, ON CONFLICT ROLLBACK in a schema, RAISE(ROLLBACK)).
// Then the group's entries before it are applied again and committed, the offender is applied alone, and the rest goes on: its neighbours never notice.
// The same is done where constraints are checked at COMMIT only (deferred foreign keys), and for a group that cannot be committed as it is (virtual-tables.ts): there each
// entry has its own transaction.
// Such a command, when its statements stand each for themselves, may need several transactions; `statementsDone` says how far it has come.
import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import type { Command, CommandOutcome, StatementResult } from '../command/command.ts'
import { entryTimeMs } from '../command/entry-moment.ts'
import { isLoadStep, type LoadStep } from '../command/load-step.ts'
import { upkeepOf } from '../command/upkeep.ts'
import type { Entry } from '../raft/entry.ts'
import type { Applied } from '../replica/state-machine.ts'
import { noLimits, payloadBytesMax, type Limits, type Stretch } from './apply-limits.ts'
import { openBookkeeping, type Progress } from './bookkeeping.ts'
import { CommandRunner, everything, type CommandRun } from './command-runner.ts'
import { Deferral } from './deferral.ts'
import { type ReadFreeBytes } from './disk-space.ts'
import { commandOf, isStep, membershipAfter, undecodable } from './entry-content.ts'
import { EntryTransaction } from './entry-transaction.ts'
import { LoadStaging } from './load-staging.ts'
import { Replacements, entryWithout, type Replacement } from './replacements.ts'
import { EnvironmentFailure, runOwn } from './sqlite-failure.ts'
import { StateComparison } from './state-comparison.ts'
import { HashFold, type RecentHashes, type Trace } from './state-hash.ts'
import { UpkeepRunner } from './upkeep-runner.ts'

/** `alone`: the next one needs a transaction for itself. `sizes`: those of tables are to be read anew. */
type GroupRun =
  | { readonly kind: 'committed'; readonly applied: readonly Applied[]; readonly stop: Stretch['stop'] | 'alone' | 'sizes' }
  | { readonly kind: 'rolled-back'; readonly position: number }
  /** Nothing of it is in the data. */
  | { readonly kind: 'refused'; readonly entries: number }

export class EntryApplier {
  readonly #runner: CommandRunner
  readonly #transaction: EntryTransaction
  readonly #deferral: Deferral
  readonly #staging: LoadStaging
  readonly #upkeep: UpkeepRunner
  readonly #replacements: Replacements
  readonly #comparison: StateComparison

  /** Throws what SQLite throws when the file cannot be used. */
  constructor(database: Database.Database, readFreeBytes: ReadFreeBytes) {
    const bookkeeping = openBookkeeping(database)
    this.#runner = new CommandRunner(database, (value) => bookkeeping.setLastInsertRowid(value))
    this.#deferral = new Deferral(database)
    this.#staging = new LoadStaging(database)
    this.#transaction = new EntryTransaction({ database, bookkeeping, runner: this.#runner, staging: this.#staging, readFreeBytes })
    this.#upkeep = new UpkeepRunner(database, this.progress)
    this.#replacements = new Replacements({ database, staging: this.#staging, upkeep: this.#upkeep, readFreeBytes })
    this.#comparison = new StateComparison(bookkeeping, this.progress)
    this.#transaction.restore()
  }

  get progress(): Progress {
    return this.#transaction.progress
  }

  get comparison(): StateComparison {
    return this.#comparison
  }

  /** The hashes behind the last commands. */
  get hashes(): RecentHashes {
    return this.#comparison.hashes
  }

  /** What a `state-hash` entry should say now; undefined: nothing has changed since the last one. */
  statePayload(): Uint8Array | undefined {
    return this.#comparison.payload(this.progress)
  }

  /** Another object whenever the schema, or the setting of foreign keys, may have changed. Says nothing while another connection applies entries. */
  get schema(): object {
    return this.#runner.schemaFacts.edition
  }

  /** Another connection applies entries from now on. */
  handOver(): void {
    this.#runner.handOver()
  }

  /** While it does. */
  readProgress(): void {
    this.#transaction.readProgress()
  }

  /** After it has: what is remembered of the database is read again. */
  takeBack(): void {
    this.readProgress()
    this.#runner.takeBack()
    this.#adopt()
  }

  /** Applies from the front as many of them as the limits allow. */
  apply(entries: readonly Entry[], limits: Limits): Stretch {
    const untilMs = performance.now() + limits.budgetMs
    this.#runner.beginGroup()
    const applied: Applied[] = []
    let rest = entries
    /** As many as were refused together. */
    let refused = 0
    while (rest[0] !== undefined) {
      if (applied.length > 0 && performance.now() > untilMs) return { applied, stop: 'time' }
      const mayDefer = refused > 0 || (this.progress.foreignKeys && this.#deferral.isPossible(rest))
      if (mayDefer || this.progress.statementsDone > 0) {
        if (isLarge(rest[0], limits)) return { applied, stop: 'long' }
        const command = commandOf(rest[0])
        if (this.#replacements.isDue(command)) return { applied, stop: 'replacement' }
        if (this.#isLong(command, limits)) return { applied, stop: 'long' }
        const alone = this.#applyAlone(rest[0], mayDefer)
        if (alone === undefined) return { applied, stop: 'diverged' }
        applied.push(alone)
        rest = rest.slice(1)
        refused = Math.max(0, refused - 1)
        continue
      }
      const group = this.#applyGroup(rest, { untilMs, ...limits })
      if (group.kind === 'committed') {
        applied.push(...group.applied)
        if (group.stop === 'sizes') {
          rest = rest.slice(group.applied.length)
          continue
        }
        if (group.stop !== 'alone') return { applied, stop: group.stop }
        const next = rest[group.applied.length]
        assert(next !== undefined, 'one of the entries stands alone')
        applied.push(this.#applyUpkeep(next))
        rest = rest.slice(group.applied.length + 1)
        continue
      }
      if (group.kind === 'refused') {
        refused = group.entries
        continue
      }
      const before = this.#applyGroup(rest.slice(0, group.position), { untilMs: Infinity, ...noLimits })
      if (before.kind === 'refused') {
        refused = before.entries
        continue
      }
      assert(before.kind === 'committed' && before.stop === 'end', 'entries that ran before the one that rolled back run again as they did')
      applied.push(...before.applied)
      const offender = rest[group.position]
      assert(offender !== undefined, 'the entry that rolled back is one of the group')
      const alone = this.#applyAlone(offender, false)
      assert(alone !== undefined, 'only a command can roll back')
      applied.push(alone)
      rest = rest.slice(group.position + 1)
    }
    return { applied, stop: 'end' }
  }

  /** One transaction for all of them, as far as the limits allow, or none of them when one rolls back. */
  #applyGroup(entries: readonly Entry[], limits: Limits & { readonly untilMs: number }): GroupRun {
    const applied: Applied[] = []
    const fold = new HashFold(this.progress.hash)
    let { appliedIndex, appliedTerm, membership, timeMs } = this.progress
    let stop: Stretch['stop'] | 'alone' | 'sizes' = 'end'
    for (const [position, entry] of entries.entries()) {
      if (isLarge(entry, limits)) {
        stop = 'long'
        break
      }
      const command = commandOf(entry)
      if (position > 0 && performance.now() > limits.untilMs) stop = 'time'
      else if (this.#isLong(command, limits)) stop = 'long'
      else if (command !== undefined && (isStep(command) || upkeepOf(command) !== undefined)) stop = this.#stopBefore(command)
      else if (entry.kind === 'state-hash' && this.#comparison.differs(entry, fold)) stop = 'diverged'
      if (stop !== 'end') break
      if (position === 0) this.#transaction.begin()
      let outcome: CommandOutcome | undefined
      const { changes } = this.#runner.schemaFacts
      if (entry.kind === 'membership') membership = membershipAfter(entry, membership)
      if (entry.kind === 'command') {
        if (command !== undefined && !isStep(command)) timeMs = this.#beginCommand(command, timeMs)
        const run = command === undefined ? undecodable : isStep(command) ? this.#runStep(command) : this.#runner.run(command, everything)
        if (run.kind === 'refused') return this.#refuse(position + 1)
        if (run.kind === 'rolled-back') {
          this.#transaction.takeBack(run)
          return { kind: 'rolled-back', position }
        }
        outcome = { results: run.traces.map(({ result }) => result) }
        fold.entry(entry)
        for (const trace of run.traces) fold.statement(trace)
        this.hashes.set(entry.index, fold.value)
      }
      applied.push({ index: entry.index, term: entry.term, outcome })
      appliedIndex = entry.index
      appliedTerm = entry.term
      if (this.#runner.schemaFacts.mayKnowOtherSizes(changes)) {
        stop = 'sizes'
        break
      }
    }
    if (applied.length > 0) {
      const refusal = this.#transaction.commit({
        ...this.progress,
        appliedIndex,
        appliedTerm,
        membership,
        timeMs,
        hash: fold.value,
        ...this.#runner.counters,
      })
      if (refusal !== undefined) return this.#refuse(applied.length)
    }
    if (stop === 'diverged') this.#comparison.recordFound()
    if (stop === 'sizes') this.#readSchema()
    return { kind: 'committed', applied, stop }
  }

  #refuse(entries: number): GroupRun {
    this.#transaction.rollBack()
    return { kind: 'refused', entries }
  }

  /** An entry with transactions of its own; undefined: it says that this node differs. What came before a failure in the same command is kept or not as the command says; each statement runs at most twice. */
  #applyAlone(entry: Entry, mayDefer: boolean): Applied | undefined {
    const { index, term } = entry
    const command = commandOf(entry)
    if (command === undefined || isStep(command)) {
      const alone = this.#applyGroup([entry], { untilMs: Infinity, ...noLimits })
      assert(alone.kind === 'committed', 'only a statement can roll back')
      return alone.applied[0]
    }
    if (upkeepOf(command) !== undefined) return this.#applyUpkeep(entry)
    const timeMs = this.#beginCommand(command, this.progress.timeMs)
    const results: StatementResult[] = []
    const { changes } = this.#runner.schemaFacts
    let isDone = false
    let full: string | undefined
    let isEachCommitted = mayDefer && !command.transaction
    while (!isDone) {
      const first = this.progress.statementsDone
      const until = isEachCommitted ? { statement: first + 1, piece: 0 } : undefined
      this.#transaction.begin()
      const run = this.#runner.run(command, { first, until })
      if (run.kind === 'refused') throw new EnvironmentFailure(run.message)
      if (run.kind === 'rolled-back') {
        this.#transaction.takeBack(run)
        const at = run.isFull ? `${first} ${run.statement} ${run.piece}` : full
        // Once more: for a moment another program may have taken the room.
        if (full !== at) {
          full = at
          continue
        }
      }
      const end = run.kind === 'done' ? run.traces : this.#applyUpTo(command, first, run)
      const next = run.kind === 'rolled-back' ? run.statement + 1 : first + 1
      isDone = command.transaction || (run.kind === 'done' && until === undefined) || next >= command.statements.length
      const step = isDone ? { appliedIndex: index, appliedTerm: term, timeMs, statementsDone: 0 } : { timeMs, statementsDone: next }
      const refusal = this.#commitStep(step, entry, end)
      if (refusal === undefined) results.push(...end.map(({ result }) => result))
      else {
        this.#transaction.rollBack()
        // Only alone it is known which of them it was.
        const isOfSeveral = !command.transaction && !isEachCommitted
        isEachCommitted ||= isOfSeveral
        if (isOfSeveral) isDone = false
        else results.push(...this.#commitRefused(step, { entry, command, traces: end, message: refusal }))
      }
    }
    this.hashes.set(index, this.progress.hash)
    if (this.#runner.schemaFacts.mayKnowOtherSizes(changes)) this.#readSchema()
    return { index, term, outcome: { results } satisfies CommandOutcome }
  }

  /** It has a transaction for itself, and what it changes in the memory of connections follows when that is committed. */
  #applyUpkeep(entry: Entry): Applied {
    const { index, term } = entry
    const command = commandOf(entry)
    const upkeep = command === undefined || isStep(command) ? undefined : upkeepOf(command)
    assert(command !== undefined && !isStep(command) && upkeep !== undefined, 'what stands alone is a command')
    const timeMs = this.#beginCommand(command, this.progress.timeMs)
    const startedAtMs = performance.now()
    this.#transaction.begin()
    const run = this.#upkeep.run(upkeep, command, index)
    const seconds = (performance.now() - startedAtMs) / 1000
    const trace: Trace =
      run.kind === 'failed'
        ? { result: { kind: 'error', message: run.message, seconds }, effect: 'failed' }
        : { result: { kind: 'written', ...this.#runner.counters, seconds }, effect: 0 }
    const settings = run.kind === 'done' ? run.settings : {}
    const fold = new HashFold(this.progress.hash)
    fold.entry(entry)
    fold.statement(trace)
    this.#transaction.commitOwn({ ...this.progress, ...settings, appliedIndex: index, appliedTerm: term, timeMs, hash: fold.value })
    this.#adopt()
    this.hashes.set(index, fold.value)
    return { index, term, outcome: { results: [trace.result] } satisfies CommandOutcome }
  }

  /** So that it is the same for whoever opens the database now. */
  #readSchema(): void {
    this.#upkeep.readSchema()
    this.#transaction.restore()
  }

  /** After settings or statistics may have changed. */
  #adopt(): void {
    this.#upkeep.adopt(this.progress)
    this.#transaction.restore()
  }

  /** A statement has rolled back: the ones before it once more, where they stand for themselves. Leaves a transaction open. */
  #applyUpTo(command: Command, first: number, run: Extract<CommandRun, { kind: 'rolled-back' }>): readonly Trace[] {
    this.#transaction.begin()
    if (command.transaction) this.#runner.keepLastInsertId(run.lastInsertId)
    const again = command.transaction ? undefined : this.#runner.run(command, { first, until: run })
    if (again !== undefined && again.kind !== 'done') {
      // A virtual table cannot write what the pieces before that one left it to write: its index is damaged. Then none of the text stays.
      const isWholeText = again.kind === 'rolled-back' && again.statement === run.statement && again.piece === 0 && run.piece > 0
      assert(isWholeText, 'statements that ran before the one that rolled back run again as they did')
      this.#transaction.takeBack(again)
      return this.#applyUpTo(command, first, { ...again, traces: run.traces })
    }
    this.#runner.counters.rowsAffected = 0 // as after any statement that failed
    return [...run.traces, { result: run.error, effect: 'failed' }]
  }

  /** A message instead, with the transaction still open. */
  #commitStep(step: Partial<Progress>, entry: Entry, traces: readonly Trace[]): string | undefined {
    const fold = new HashFold(this.progress.hash)
    if (this.progress.statementsDone === 0) fold.entry(entry)
    for (const trace of traces) fold.statement(trace)
    return this.#transaction.commit({ ...this.progress, ...this.#runner.counters, ...step, hash: fold.value })
  }

  /** A deferred foreign key, or a virtual table, has refused the transaction: nothing of what was run stays, and the last result says so. */
  #commitRefused(
    step: Partial<Progress>,
    { entry, command, traces, message }: { readonly entry: Entry; readonly command: Command; readonly traces: readonly Trace[]; readonly message: string }, // prettier-ignore
  ): readonly StatementResult[] {
    this.#runner.counters.rowsAffected = 0
    this.#transaction.begin()
    const error: Trace = { result: { kind: 'error', message, seconds: 0 }, effect: 'failed' }
    const ends = command.transaction ? [...traces, error] : [...traces.slice(0, -1), error]
    const again = this.#commitStep(step, entry, ends)
    assert(again === undefined, 'a transaction without data is committed')
    return ends.map(({ result }) => result)
  }

  /** Gives the entry's time. */
  #beginCommand({ seed, proposedAtMs }: Command, beforeMs: number): number {
    const timeMs = entryTimeMs(beforeMs, proposedAtMs)
    this.#runner.beginEntry({ seed, timeMs })
    return timeMs
  }

  /** Makes the database that `entry` puts in the place of the present one, beside it, at `path`. */
  makeReplacement(entry: Entry, path: string): Replacement {
    return this.#replacements.make(entry, this.progress, path)
  }

  /** There is none, and the present one stays. */
  applyWithout(replacement: Exclude<Replacement, { kind: 'ready' }>, entry: Entry): Applied {
    const { progress, result, abort } = entryWithout(replacement, entry, this.progress)
    this.#transaction.begin()
    if (abort !== undefined) this.#runStep(abort)
    this.#transaction.commitOwn(progress)
    this.hashes.set(entry.index, progress.hash)
    return { index: entry.index, term: entry.term, outcome: { results: [result] } satisfies CommandOutcome }
  }

  #runStep(step: LoadStep): CommandRun {
    const { trace, changesSchema } = runOwn(() => this.#staging.run(step))
    if (changesSchema) this.#runner.forgetStatements()
    return { kind: 'done', traces: [trace] }
  }

  /** `end`: it needs no place of its own. */
  #stopBefore(command: Command | LoadStep): 'replacement' | 'alone' | 'end' {
    if (this.#replacements.isDue(command)) return 'replacement'
    return isStep(command) ? 'end' : 'alone'
  }

  #isLong(command: Command | LoadStep | undefined, { costMax }: Limits): boolean {
    if (command === undefined || costMax === Infinity) return false
    // Dropping what an earlier load has left touches each of its pages.
    if (isStep(command)) return command.kind === 'load-begin' || command.kind === 'load-abort'
    const upkeep = upkeepOf(command)
    if (upkeep !== undefined) return upkeep.kind === 'analyze' || upkeep.kind === 'optimize'
    return this.#runner.costOf(command) > costMax
  }
}

/** It is long whatever it does, and not even read where others wait: that takes some tenths of a second. Steps of a load are known to be short. */
function isLarge({ kind, payload }: Entry, { costMax }: Limits): boolean {
  return kind === 'command' && costMax !== Infinity && payload.length > payloadBytesMax && !isLoadStep(payload)
}
