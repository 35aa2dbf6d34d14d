// Giving up the beginning of the log (Raft §7). No snapshot is needed for it: the database itself is the state, so what it holds durably the log need not hold.
import type { RaftStatus } from '../raft/raft-port.ts'
import type { Clock } from './clock.ts'
import type { LoopEvent } from './loop-event.ts'
import type { LogStore } from './log-store.ts'
import type { CompactionOptions } from './replica-options.ts'
import type { StateMachine } from './state-machine.ts'

export interface CompactionFacts {
  readonly baseIndex: number
  readonly lastIndex: number
  /** Up to here the state machine survives a power failure (or would, once it is asked to). */
  readonly durableIndex: number
  readonly trailingEntries: number
  /** What the slowest follower that is heard of still needs begins after it; Infinity where there is none. */
  readonly neededAfterIndex: number
  readonly logBytes: number
  readonly logBytesMax: number
}

/** The last entry that may go; undefined: none. */
export function compactionIndex(facts: CompactionFacts): number | undefined {
  const isTooLarge = facts.logBytes > facts.logBytesMax
  const trailing = isTooLarge ? Math.min(facts.trailingEntries, affordableEntries(facts)) : facts.trailingEntries
  // A follower that fetches a snapshot, or catches up after one, would find the log gone again when it comes back for the rest, and so for ever. But not at any price.
  const index = Math.min(facts.durableIndex - trailing, isTooLarge ? Infinity : facts.neededAfterIndex)
  return index > facts.baseIndex ? index : undefined
}

/** Entries of average size in half of what the log may occupy: the other half is for what comes until it is looked again. */
function affordableEntries({ baseIndex, lastIndex, logBytes, logBytesMax }: CompactionFacts): number {
  return Math.floor(((lastIndex - baseIndex) * logBytesMax) / (2 * logBytes))
}

/** After which index of a leader's log its followers still need entries. Those that are not heard of must not hold the log of all others for ever: they get a snapshot. */
export function neededAfterIndex(status: RaftStatus, baseIndex: number): number {
  let needed = Infinity
  for (const { active, state, matchIndex } of status.followers) {
    // One that fetches will continue at some index that this log still holds; at which, only its answer will tell.
    if (active) needed = Math.min(needed, state === 'snapshot' ? baseIndex : matchIndex)
  }
  return needed
}

export class Compaction {
  readonly #log: LogStore
  readonly #stateMachine: StateMachine
  readonly #options: CompactionOptions
  readonly #neededAfterIndex: () => number
  readonly #report: (event: LoopEvent) => void
  readonly #onEnded: () => void
  readonly #stop: () => void
  #running: Promise<unknown> | undefined
  #isClosed = false
  #keepsMembership = false

  constructor(options: {
    readonly log: LogStore
    readonly stateMachine: StateMachine
    readonly clock: Clock
    readonly compaction: CompactionOptions
    readonly neededAfterIndex: () => number
    readonly report: (event: LoopEvent) => void
    /** No longer busy. */
    readonly onEnded: () => void
  }) {
    this.#log = options.log
    this.#stateMachine = options.stateMachine
    this.#options = options.compaction
    this.#neededAfterIndex = options.neededAfterIndex
    this.#report = options.report
    this.#onEnded = options.onEnded
    this.#stop = options.clock.every(this.#options.intervalMs, () => this.#look())
  }

  /** A barrier is under way: the state machine must not be replaced. */
  get isBusy(): boolean {
    return this.#running !== undefined
  }

  /** At once, whatever there is to gain; false: nothing could go. `trailingEntries` undefined: as many stay as by itself. */
  now(options: { readonly trailingEntries: number | undefined }): Promise<boolean> {
    const trailingEntries = options.trailingEntries ?? this.#options.trailingEntries
    return this.#run(() => this.#compact(trailingEntries))
  }

  /**
   * A membership has taken effect: it is made durable in the database now, not when the log is shortened next. Otherwise a power failure could bring back an older one that needs
   * the votes of members who have gone for good since, and no leader could be elected though a majority of the newest is there.
   */
  keepMembership(): void {
    if (this.#keepsMembership) return
    this.#keepsMembership = true
    void this.#run(async () => {
      // Of all that have taken effect until now; the next one asks again.
      this.#keepsMembership = false
      if (!this.#isClosed) await this.#stateMachine.makeDurable()
    })
  }

  /** One after the other. */
  #run<Value>(work: () => Promise<Value>): Promise<Value> {
    const running = (this.#running ?? Promise.resolve()).then(work).finally(() => {
      if (this.#running !== running) return
      this.#running = undefined
      this.#onEnded()
    })
    this.#running = running
    return running
  }

  close(): void {
    this.#isClosed = true
    this.#stop()
  }

  #look(): void {
    if (this.isBusy || this.#isClosed) return
    const { trailingEntries, everyEntries, logBytesMax } = this.#options
    const facts = this.#facts({ durableIndex: this.#stateMachine.appliedIndex, trailingEntries })
    const gained = (compactionIndex(facts) ?? facts.baseIndex) - facts.baseIndex
    if (gained >= everyEntries || (gained > 0 && facts.logBytes > logBytesMax)) void this.now({ trailingEntries: undefined })
  }

  async #compact(trailingEntries: number): Promise<boolean> {
    if (this.#isClosed) return false
    const durableIndex = await this.#stateMachine.makeDurable()
    const index = compactionIndex(this.#facts({ durableIndex, trailingEntries }))
    if (this.#isClosed || index === undefined) return false
    const base = { index, term: this.#log.reader.termAt(index) }
    this.#log.compact(base)
    this.#report({ kind: 'log-compacted', base })
    return true
  }

  #facts(about: { readonly durableIndex: number; readonly trailingEntries: number }): CompactionFacts {
    const { reader } = this.#log
    return {
      ...about,
      baseIndex: reader.base.index,
      lastIndex: reader.lastIndex(),
      neededAfterIndex: this.#neededAfterIndex(),
      logBytes: this.#log.bytes(),
      logBytesMax: this.#options.logBytesMax,
    }
  }
}
