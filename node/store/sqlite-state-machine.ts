// Applies committed entries to SQLite: many entries, one transaction, the applied index in it. The log is what makes an entry durable; the database may lose its last
// transactions at a power failure (WAL, synchronous NORMAL) and is then a whole, older state that the log brings forward again.
//
// One trap decides the shape: a statement may roll back the *whole* transaction in spite of savepoints (OR ROLLBACK, ON CONFLICT ROLLBACK in a schema, RAISE(ROLLBACK)).
// Then the group's entries before it are applied again and committed, the offender is applied alone, and the rest goes on: its neighbours never notice.
// The same is done where constraints are checked at COMMIT only (deferred foreign keys): there each entry has its own transaction.
// Alone, a command whose statements stand each for themselves may need several transactions; `statementsDone` in the bookkeeping says how far it has come.
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import { decodeCommand } from '../command/command-codec.ts'
import type { Command, CommandOutcome, StatementResult } from '../command/command.ts'
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { Applied, StateMachine } from '../replica/state-machine.ts'
import { openBookkeeping, type Bookkeeping, type Progress } from './bookkeeping.ts'
import { CommandRunner, everything, type CommandRun } from './command-runner.ts'
import { Deferral } from './deferral.ts'
import { freeBytesBeside, freeBytesMin, type ReadFreeBytes } from './disk-space.ts'
import type { FatalCode, OnFatal } from './fatal.ts'
import { EnvironmentFailure, answerOf, isForeignKeyRefusal } from './sqlite-failure.ts'

/**
 * The WAL is copied back into the database and emptied when it is longer than this, between two groups and on the same thread. A longer WAL makes that rarer but the
 * pause longer and reads slower.
 */
const walBytesMax = 8 * 1024 * 1024

type GroupRun =
  | { readonly kind: 'committed'; readonly applied: readonly Applied[] }
  | { readonly kind: 'rolled-back'; readonly position: number }

export class SqliteStateMachine implements StateMachine {
  readonly #database: Database.Database
  readonly #walPath: string
  readonly #onFatal: OnFatal
  readonly #readFreeBytes: ReadFreeBytes
  readonly #bookkeeping: Bookkeeping
  readonly #runner: CommandRunner
  readonly #begin: Database.Statement
  readonly #commit: Database.Statement
  readonly #rollback: Database.Statement
  readonly #deferral: Deferral
  #progress: Progress
  #listener: (applied: readonly Applied[]) => void = () => {}
  #state: 'open' | 'halted' | 'closed' = 'open'

  /** Takes over the write connection; throws what SQLite throws when the file cannot be used. */
  constructor(database: Database.Database, options: { readonly onFatal: OnFatal; readonly readFreeBytes?: ReadFreeBytes }) {
    this.#database = database
    this.#walPath = `${database.name}-wal`
    this.#onFatal = options.onFatal
    this.#readFreeBytes = options.readFreeBytes ?? freeBytesBeside(database.name)
    this.#bookkeeping = openBookkeeping(database)
    this.#progress = this.#bookkeeping.read()
    this.#runner = new CommandRunner(database, (value) => this.#bookkeeping.setLastInsertRowid(value))
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
    this.#deferral = new Deferral(database)
    this.#restore()
  }

  get appliedIndex(): number {
    return this.#progress.appliedIndex
  }

  get appliedTerm(): number {
    return this.#progress.appliedTerm
  }

  get membership(): Membership | undefined {
    return this.#progress.membership
  }

  /** In place, on the calling thread; the listener hears of it right after the caller's turn. */
  apply(entries: readonly Entry[]): void {
    assert(this.#state !== 'closed', 'apply after close')
    if (this.#state === 'halted') return
    let index = this.#progress.appliedIndex
    for (const entry of entries) assert(entry.index === (index += 1), 'entries are applied without a gap, each once')
    this.#runner.beginGroup()
    try {
      const applied = this.#applyAll(entries)
      queueMicrotask(() => this.#listener(applied))
      this.#boundWal()
    } catch (error) {
      this.#halt(error)
    }
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#listener = listener
  }

  makeDurable(): Promise<number> {
    return Promise.resolve(0)
  }

  stateHash(): undefined {}

  onDiverged(): void {}

  close(): Promise<void> {
    this.#state = 'closed'
    this.#database.close()
    return Promise.resolve()
  }

  #applyAll(entries: readonly Entry[]): readonly Applied[] {
    const applied: Applied[] = []
    let rest = entries
    while (rest[0] !== undefined) {
      const mayDefer = this.#deferral.isPossible(rest)
      if (mayDefer || this.#progress.statementsDone > 0) {
        applied.push(this.#applyAlone(rest[0], mayDefer))
        rest = rest.slice(1)
        continue
      }
      const group = this.#applyGroup(rest)
      if (group.kind === 'committed') return [...applied, ...group.applied]
      const before = this.#applyGroup(rest.slice(0, group.position))
      assert(before.kind === 'committed', 'entries that ran before the one that rolled back run again as they did')
      applied.push(...before.applied)
      const offender = rest[group.position]
      assert(offender !== undefined, 'the entry that rolled back is one of the group')
      applied.push(this.#applyAlone(offender, false))
      rest = rest.slice(group.position + 1)
    }
    return applied
  }

  /** One transaction for all of them, or none of them when one rolls back. */
  #applyGroup(entries: readonly Entry[]): GroupRun {
    if (entries.length === 0) return { kind: 'committed', applied: [] }
    const applied: Applied[] = []
    let progress = this.#progress
    this.#run(this.#begin)
    for (const [position, entry] of entries.entries()) {
      let outcome: CommandOutcome | undefined
      if (entry.kind === 'membership') progress = { ...progress, membership: readMembership(entry) }
      if (entry.kind === 'command') {
        this.#runner.beginEntry()
        const command = readCommand(entry)
        const run = command === undefined ? undecodable : this.#runner.run(command, everything)
        if (run.kind === 'rolled-back') {
          if (run.isFull) this.#takeBackFull(run.error)
          this.#restore()
          return { kind: 'rolled-back', position }
        }
        outcome = { results: run.results }
      }
      applied.push({ index: entry.index, term: entry.term, outcome })
      progress = { ...progress, appliedIndex: entry.index, appliedTerm: entry.term }
    }
    const refusal = this.#commitWith({ ...progress, ...this.#runner.counters })
    assert(refusal === undefined, 'constraints that are checked at the end are only met in transactions of one entry')
    return { kind: 'committed', applied }
  }

  /** An entry with transactions of its own. What came before a failure in the same command is kept or not as the command says; each statement runs at most twice. */
  #applyAlone(entry: Entry, mayDefer: boolean): Applied {
    const { index, term } = entry
    const command = entry.kind === 'command' ? readCommand(entry) : undefined
    if (command === undefined) {
      const alone = this.#applyGroup([entry])
      assert(alone.kind === 'committed' && alone.applied[0] !== undefined, 'only a command can roll back')
      return alone.applied[0]
    }
    this.#runner.beginEntry()
    const results: StatementResult[] = []
    let isDone = false
    let full: string | undefined
    while (!isDone) {
      const first = this.#progress.statementsDone
      const until = mayDefer && !command.transaction ? { statement: first + 1, piece: 0 } : undefined
      this.#run(this.#begin)
      const run = this.#runner.run(command, { first, until })
      if (run.kind === 'rolled-back' && run.isFull) {
        this.#takeBackFull(run.error)
        const at = `${first} ${run.statement} ${run.piece}`
        // Once more: for a moment another program may have taken the room.
        if (full !== at) {
          full = at
          this.#restore()
          continue
        }
      }
      const end = run.kind === 'done' ? run.results : this.#applyUpTo(command, first, run)
      const next = run.kind === 'rolled-back' ? run.statement + 1 : first + 1
      isDone = command.transaction || (run.kind === 'done' && until === undefined) || next >= command.statements.length
      const step = isDone ? { appliedIndex: index, appliedTerm: term, statementsDone: 0 } : { statementsDone: next }
      results.push(...this.#commitOrTakeBack(step, command, end))
    }
    return { index, term, outcome: { results } satisfies CommandOutcome }
  }

  /** Only when the disk has room is it the statement's own answer. SQLite may have ended the transaction already. */
  #takeBackFull(error: StatementResult): void {
    const message = error.kind === 'error' ? error.message : ''
    if (this.#readFreeBytes() < freeBytesMin) throw new EnvironmentFailure(`SQLITE_FULL: ${message}`)
    if (this.#database.inTransaction) this.#run(this.#rollback)
  }

  /** A statement has rolled back: the ones before it once more, where they stand for themselves. Leaves a transaction open. */
  #applyUpTo(command: Command, first: number, run: Extract<CommandRun, { kind: 'rolled-back' }>): readonly StatementResult[] {
    this.#restore()
    this.#run(this.#begin)
    if (!command.transaction) {
      const again = this.#runner.run(command, { first, until: run })
      assert(again.kind === 'done', 'statements that ran before the one that rolled back run again as they did')
    }
    this.#runner.counters.rowsAffected = 0 // as after any statement that failed
    return [...run.results, run.error]
  }

  /** A deferred foreign key may still refuse: then nothing of what was run stays, and the last result says so. */
  #commitOrTakeBack(step: Partial<Progress>, command: Command, results: readonly StatementResult[]): readonly StatementResult[] {
    const refusal = this.#commitWith({ ...this.#progress, ...this.#runner.counters, ...step })
    if (refusal === undefined) return results
    this.#run(this.#rollback)
    this.#restore()
    this.#runner.counters.rowsAffected = 0
    this.#run(this.#begin)
    const again = this.#commitWith({ ...this.#progress, ...this.#runner.counters, ...step })
    assert(again === undefined, 'a transaction without data is committed')
    const error: StatementResult = { kind: 'error', message: refusal, seconds: 0 }
    return command.transaction ? [...results, error] : [...results.slice(0, -1), error]
  }

  /** A message instead: a deferred constraint does not hold, and the transaction is still open. */
  #commitWith(progress: Progress): string | undefined {
    try {
      this.#bookkeeping.write(progress, this.#progress)
      this.#commit.run()
    } catch (error) {
      const message = answerOf(error)
      if (isForeignKeyRefusal(error)) return message
      throw new EnvironmentFailure(message, { cause: error })
    }
    this.#progress = progress
    return undefined
  }

  /** Our own statements have no reason to fail but the machine's. */
  #run(statement: Database.Statement): void {
    try {
      statement.run()
    } catch (error) {
      throw new EnvironmentFailure(answerOf(error), { cause: error })
    }
  }

  /** After a rollback, and at start: counters, connection and handles as they were when the last transaction was committed. */
  #restore(): void {
    this.#runner.forgetStatements()
    this.#bookkeeping.setLastInsertRowid(this.#progress.lastInsertId)
    this.#runner.counters.lastInsertId = this.#progress.lastInsertId
    this.#runner.counters.rowsAffected = this.#progress.rowsAffected
  }

  #boundWal(): void {
    if ((statSync(this.#walPath, { throwIfNoEntry: false })?.size ?? 0) < walBytesMax) return
    // A reader of another process may hold it back (the row then says busy): the next group tries again.
    try {
      this.#database.pragma('wal_checkpoint(TRUNCATE)')
    } catch (error) {
      throw new EnvironmentFailure(answerOf(error), { cause: error })
    }
  }

  #halt(error: unknown): void {
    if (!(error instanceof EnvironmentFailure) && !(error instanceof NewerCommand)) throw error
    this.#state = 'halted'
    const code: FatalCode = error instanceof NewerCommand ? 'command_version_unknown' : 'database_failed'
    this.#onFatal({ code, message: `after entry ${this.#progress.appliedIndex}: ${error.message}`, cause: error })
  }
}

/** Thrown through the apply path and caught by the state machine only. */
class NewerCommand extends Error {}

const undecodable = {
  kind: 'done',
  results: [{ kind: 'error', message: 'the entry holds no command that can be read', seconds: 0 }],
} as const

/** Undefined: no command of any version; every node sees the same bytes and answers the same. */
function readCommand(entry: Entry): Command | undefined {
  const command = decodeCommand(entry.payload)
  if (command.ok) return command.value
  if (command.problem === 'command_version')
    throw new NewerCommand('a newer program wrote the next entry; this one must be brought up to date')
  return undefined
}

function readMembership(entry: Entry): Membership {
  const membership = decodeMembership(entry.payload)
  assert(membership.ok, 'a committed membership entry can always be read')
  return membership.value
}
