// The state machine in SQLite: decides when and where committed entries are applied; `entry-applier.ts` knows how. Entries wait in a queue; one of three has the right to
// write: this thread, for what provably ends soon and only for some milliseconds a turn; the thread for long statements; or the WAL's thread while it empties the WAL.
// Heartbeats and reads go on whoever has it.
import assert from 'node:assert/strict'
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type Database from 'better-sqlite3'
import type { CommandOutcome } from '../command/command.ts'
import type { Entry } from '../raft/entry.ts'
import type { Membership } from '../raft/membership.ts'
import type { LogBase } from '../raft/raft-port.ts'
import { inTime } from '../../runtime/in-time.ts'
import type { Applied, Divergence, StateMachine } from '../replica/state-machine.ts'
import { ApplyElsewhere, type ApplyReply, type ReplaceReply } from './apply-elsewhere.ts'
import { markOf, upToMark, type CheckMark } from './check-mark.ts'
import { replaceAlone, type NewContent } from './database-replacement.ts'
import { freeBytesBeside, type ReadFreeBytes } from './disk-space.ts'
import { noLimits, type Limits } from './apply-limits.ts'
import { EntryApplier } from './entry-applier.ts'
import { EntryQueue } from './entry-queue.ts'
import type { FatalCode, OnFatal } from './fatal.ts'
import { unpack } from './packed-results.ts'
import { logReplacement, type Replacement } from './replacements.ts'
import { snapshotPaths } from './snapshot-directory.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'
import { roomLeftIn, type RoomLeft } from './room-left.ts'
import type { StoreLogger } from './store-logger.ts'
import { emptyLongWal } from './wal-in-place.ts'
import { WalKeeper } from './wal-keeper.ts'
import { syncWal } from './wal-sync.ts'
import { openWriteConnection, waitUntilAlone } from './write-connection.ts'

/** In place: so long until the loop has its turn (a group may end a little later), and so many instructions (some milliseconds) for one command. */
const inPlace: Limits = { budgetMs: 10, costMax: 30_000 }
/** How long an entry that is being applied may hold up the end. */
const closeMsMax = 2_000

export interface StateMachineOptions {
  readonly onFatal: OnFatal
  readonly readFreeBytes?: ReadFreeBytes
  /**
   * `nowhere`: everything happens in the calls themselves, whatever it takes, which suits tests and simulation. By default what may take long, and the disk's part of
   * checkpoints, go to threads of their own.
   */
  readonly elsewhere?: 'threads' | 'nowhere'
  readonly logger?: StoreLogger
}

/** `from`: a whole database, durable, on the same file system, that stands at `point`. */
export type ReplaceDatabase = (from: string, point: LogBase, content: NewContent) => void

interface Threads {
  readonly apply: ApplyElsewhere
  readonly wal: WalKeeper
}

export class SqliteStateMachine implements StateMachine {
  readonly #path: string
  readonly #onFatal: OnFatal
  readonly #readFreeBytes: ReadFreeBytes
  readonly #logger: StoreLogger | undefined
  readonly #threads: Threads | undefined
  #database: Database.Database
  #applier: EntryApplier
  #queue: EntryQueue
  #writer: 'none' | 'this-thread-soon' | 'apply-thread' | 'wal-thread' = 'none'
  #state: 'open' | 'diverged' | 'halted' | 'suspended' | 'closed'
  #replaceDatabase: ReplaceDatabase
  #listener: (applied: readonly Applied[]) => void = () => {}
  #divergenceListener: (divergence: Divergence) => void = () => {}
  #markListener: (mark: CheckMark, index: number) => void = () => {}
  /** Found by others, and not acted upon yet. */
  #disowned: Divergence | undefined

  /** Takes over the write connection; throws what SQLite throws when the file cannot be used. */
  constructor(database: Database.Database, options: StateMachineOptions) {
    this.#path = database.name
    this.#onFatal = options.onFatal
    this.#readFreeBytes = options.readFreeBytes ?? freeBytesBeside(database.name)
    this.#logger = options.logger
    this.#threads = options.elsewhere === 'nowhere' ? undefined : this.#makeThreads()
    this.#replaceDatabase = (from, point) => replaceAlone(this, from, { point, databasePath: this.#path })
    this.#database = database
    this.#applier = new EntryApplier(database, this.#readFreeBytes)
    this.#queue = new EntryQueue(this.appliedIndex)
    this.#state = this.#applier.comparison.divergence === undefined ? 'open' : 'diverged'
  }

  get appliedIndex(): number {
    return this.#applier.progress.appliedIndex
  }

  get appliedTerm(): number {
    return this.#applier.progress.appliedTerm
  }

  get membership(): Membership | undefined {
    return this.#applier.progress.membership
  }

  /** A thread of this process is applying, and may be inside of SQLite, where nothing ends it but the end of the process by a signal: an orderly exit waits for it. */
  get isApplyingElsewhere(): boolean {
    return this.#writer === 'apply-thread'
  }

  /** The cluster's setting, as far as it is applied here. */
  get foreignKeys(): boolean {
    return this.#applier.progress.foreignKeys
  }

  /** Another object whenever the schema, or the setting of foreign keys, may have changed; undefined: it may be changing right now. */
  get schema(): object | undefined {
    return this.#writer === 'apply-thread' ? undefined : this.#applier.schema
  }

  /** When all nodes were last to write their databases anew (bookkeeping.ts); 0: never, and nothing was written. */
  get vacuumedAtMs(): number {
    return this.#applier.progress.vacuumedMs
  }

  /** Undefined: the database cannot be asked now. */
  roomLeft(): RoomLeft | undefined {
    if (this.#state !== 'open' || this.#writer === 'apply-thread') return undefined
    try {
      return roomLeftIn(this.#database, this.#applier.progress)
    } catch (error) {
      this.#halt(error instanceof Error ? new EnvironmentFailure(error.message, { cause: error }) : error)
      return undefined
    }
  }

  /** It has been found to differ from the others. */
  get isInDoubt(): boolean {
    return this.#state === 'diverged'
  }

  /** What can be done in place is done before it returns; the listener hears of it right after the caller's turn. */
  apply(entries: readonly Entry[]): void {
    assert(this.#state !== 'closed' && this.#state !== 'suspended', 'apply while closed')
    if (this.#state !== 'open') return
    this.#queue.add(entries)
    this.#work()
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#listener = listener
  }

  /** One sync of the WAL (wal-sync.ts), on the WAL's thread: neither this thread nor writes wait for it. */
  async makeDurable(): Promise<number> {
    const { appliedIndex } = this
    try {
      if (this.#threads === undefined) syncWal(this.#path)
      else await this.#threads.wal.sync()
    } catch (error) {
      this.#halt(error)
      throw error
    }
    return appliedIndex
  }

  /** Behind the command of that index, while it is remembered. */
  stateHashAt(index: number): string | undefined {
    return this.#applier.comparison.textAt(index)
  }

  stateHash(): Uint8Array | undefined {
    return this.#applier.statePayload()
  }

  /** A divergence that was found before a restart is told again: it is kept in the database. */
  onDiverged(listener: (divergence: Divergence) => void): void {
    this.#divergenceListener = listener
    if (this.#state === 'diverged') this.#tellDivergence()
  }

  /** Called when the entry that says so has been applied, and nothing behind it. */
  onCheckMark(listener: (mark: CheckMark, index: number) => void): void {
    this.#markListener = listener
  }

  /** What it holds is not what the others hold: as soon as nothing is being applied it stands as one that has diverged. */
  disown(divergence: Divergence): void {
    this.#disowned = divergence
    // Not in the middle of what has found it out.
    setImmediate(() => this.#work())
  }

  /** While somebody reads an older state for long, trying to empty the WAL would only hold up writes. */
  holdWal(state: 'held' | 'free'): void {
    this.#threads?.wal.hold(state)
  }

  /** How another database takes the present one's place where others have it open too; they are suspended with this one. */
  onReplaced(replace: ReplaceDatabase): void {
    this.#replaceDatabase = replace
  }

  /**
   * Closes every connection, so that another file may take the database's place before `resume`; nothing of the old one's WAL is left. Blocks, and only while nothing is
   * being applied. Connections of others, like the reader's, are to be closed before.
   */
  suspend(): void {
    assert(this.#state !== 'closed' && this.#state !== 'suspended', 'suspended while open')
    assert(this.#writer !== 'apply-thread' && this.#queue.isEmpty, 'suspended only while nothing is being applied')
    this.#threads?.apply.release()
    this.#threads?.wal.release()
    this.#database.close()
    this.#state = 'suspended'
    waitUntilAlone(this.#path)
    this.#threads?.wal.forget()
  }

  /** Opens the database that now lies there and goes on from what it says it has applied. Throws what the constructor throws. */
  resume(): void {
    assert(this.#state === 'suspended', 'resumed after it was suspended')
    this.#database = openWriteConnection(this.#path)
    this.#applier = new EntryApplier(this.#database, this.#readFreeBytes)
    this.#queue = new EntryQueue(this.appliedIndex)
    this.#disowned = undefined
    this.#state = this.#applier.comparison.divergence === undefined ? 'open' : 'diverged'
    if (this.#state === 'diverged') this.#tellDivergence()
  }

  /**
   * What waits is not applied any more (the log has it). What is being applied elsewhere is waited for, but not for ever: then it goes on (`isApplyingElsewhere`), and
   * whatever becomes of it, the next start finds a whole state.
   */
  async close(): Promise<void> {
    this.#state = 'closed'
    if (this.#threads !== undefined && (await inTime(this.#threads.apply.close(), closeMsMax)) === 'late') return
    this.#writer = 'none'
    this.#threads?.wal.release()
    this.#database.close()
    await this.#threads?.wal.close()
  }

  #work(): void {
    if (this.#state !== 'open' || this.#writer !== 'none') return
    if (this.#threads?.wal.isReady === true) {
      this.#writer = 'wal-thread'
      return this.#threads.wal.empty(() => this.#goOn())
    }
    if (this.#queue.isEmpty && this.#disowned === undefined) return
    try {
      if (this.#disowned !== undefined) {
        this.#applier.comparison.record(this.#disowned)
        return this.#diverged()
      }
      const group = upToMark(this.#queue.waiting)
      const { applied, stop } = this.#applier.apply(group, this.#threads === undefined ? noLimits : inPlace)
      this.#queue.drop(applied.length)
      this.#tell(applied)
      this.#boundWal()
      switch (stop) {
        case 'end':
          return this.#tellMark(group.at(-1))
        case 'time':
          this.#writer = 'this-thread-soon'
          setImmediate(() => this.#goOn())
          return
        case 'long':
          return this.#applyElsewhere()
        case 'replacement':
          return this.#makeReplacement()
        case 'diverged':
          return this.#diverged()
      }
    } catch (error) {
      this.#halt(error)
    }
  }

  #goOn(): void {
    this.#writer = 'none'
    this.#work()
  }

  #applyElsewhere(): void {
    assert(this.#threads !== undefined, 'without threads nothing is too long')
    this.#writer = 'apply-thread'
    this.#applier.handOver()
    this.#queue.drop(this.#threads.apply.apply(this.#queue.waiting))
  }

  #appliedElsewhere({ applied, hashes, isLast }: ApplyReply): void {
    if (this.#state !== 'open') return
    try {
      for (const [at, { index }] of applied.entries()) this.#applier.hashes.set(index, hashes[at])
      if (isLast) this.#applier.takeBack()
      else this.#applier.readProgress()
      this.#tell(applied.map(unpack))
      this.#boundWal()
    } catch (error) {
      return this.#halt(error)
    }
    if (isLast) this.#goOn()
  }

  /** The next entry puts another database in this one's place. */
  #makeReplacement(): void {
    const [entry] = this.#queue.waiting
    assert(entry !== undefined, 'what replaces the database waits')
    const { loading } = snapshotPaths(dirname(this.#path))
    mkdirSync(dirname(loading), { recursive: true, mode: 0o700 })
    if (this.#threads === undefined) return this.#replace(entry, this.#applier.makeReplacement(entry, loading))
    this.#writer = 'apply-thread'
    this.#applier.handOver()
    this.#threads.apply.replace(entry, loading)
  }

  #replacementMade({ replacement }: ReplaceReply): void {
    const [entry] = this.#queue.waiting
    if (this.#state !== 'open' || entry === undefined) return
    this.#writer = 'none'
    try {
      this.#applier.takeBack()
      this.#replace(entry, replacement)
    } catch (error) {
      this.#halt(error)
    }
  }

  #replace(entry: Entry, replacement: Replacement): void {
    const behind = this.#queue.waiting.slice(1)
    this.#queue.clear()
    const { index, term } = entry
    if (replacement.kind === 'ready') {
      const { loading } = snapshotPaths(dirname(this.#path))
      try {
        this.#replaceDatabase(loading, { index, term }, replacement.content)
      } catch (error) {
        throw new EnvironmentFailure('a new database could not be put in place; the next start does it', { cause: error })
      }
      this.#tell([{ index, term, outcome: { results: [replacement.result] } satisfies CommandOutcome }])
    } else this.#tell([this.#applier.applyWithout(replacement, entry)])
    logReplacement(replacement, { index, bytes: statSync(this.#path).size, logger: this.#logger })
    this.#queue = new EntryQueue(index)
    this.#queue.add(behind)
    this.#work()
  }

  #boundWal(): void {
    if (this.#threads !== undefined) return this.#threads.wal.look()
    emptyLongWal(this.#database)
  }

  #makeThreads(): Threads {
    const path = this.#path
    const onFailed = ({ code, message }: { readonly code: FatalCode; readonly message: string }, cause: unknown): void =>
      this.#fail({ code, message }, cause)
    return {
      apply: new ApplyElsewhere({
        path,
        onApplied: (reply) => this.#appliedElsewhere(reply),
        onReplaced: (reply) => this.#replacementMade(reply),
        onFailed,
      }),
      wal: new WalKeeper({ path, onReady: () => this.#work(), onFailed }),
    }
  }

  #diverged(): void {
    this.#state = 'diverged'
    this.#disowned = undefined
    this.#queue.clear()
    this.#tellDivergence()
  }

  /** A group ends with a mark, so that whoever hears of it finds the database as it is behind it. */
  #tellMark(entry: Entry | undefined): void {
    const mark = entry === undefined ? undefined : markOf(entry)
    if (entry !== undefined && mark !== undefined) this.#markListener(mark, entry.index)
    this.#work()
  }

  #tell(applied: readonly Applied[]): void {
    if (applied.length > 0) queueMicrotask(() => this.#listener(applied))
  }

  #tellDivergence(): void {
    const { divergence } = this.#applier.comparison
    if (divergence !== undefined) queueMicrotask(() => this.#divergenceListener(divergence))
  }

  #halt(error: unknown): void {
    if (!(error instanceof EnvironmentFailure)) throw error
    this.#fail({ code: error.code, message: error.message }, error)
  }

  #fail({ code, message }: { readonly code: FatalCode; readonly message: string }, cause: unknown): void {
    if (this.#state === 'halted' || this.#state === 'closed') return
    this.#state = 'halted'
    this.#queue.clear()
    this.#onFatal({ code, message: `after entry ${this.appliedIndex}: ${message}`, cause })
  }
}
