// The state machine's twin in memory: remembers the commands and answers each with its text and how many there were before.
import assert from 'node:assert/strict'
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { Clock } from './clock.ts'
import type { Applied, StateMachine } from './state-machine.ts'

/** What survives: the database, so to speak. */
export class MemoryDatabase {
  appliedIndex = 0
  appliedTerm = 0
  membership: Membership | undefined = undefined
  readonly commands: string[] = []
}

export class MemoryStateMachine implements StateMachine {
  readonly #database: MemoryDatabase
  readonly #clock: Clock
  #queue: (readonly Entry[])[] = []
  #listener: (applied: readonly Applied[]) => void = () => {}
  #isClosed = false

  constructor(database: MemoryDatabase, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  get appliedIndex(): number {
    return this.#database.appliedIndex
  }

  get appliedTerm(): number {
    return this.#database.appliedTerm
  }

  get membership(): Membership | undefined {
    return this.#database.membership
  }

  apply(entries: readonly Entry[]): void {
    assert(!this.#isClosed, 'apply after close')
    let index = this.#queue.at(-1)?.at(-1)?.index ?? this.#database.appliedIndex
    for (const entry of entries) assert(entry.index === (index += 1), 'entries are applied without a gap, each once')
    this.#queue.push(entries)
    this.#clock.soon(() => this.#applyNext())
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#listener = listener
  }

  makeDurable(): Promise<number> {
    return Promise.resolve(this.#database.appliedIndex)
  }

  stateHash(): undefined {}

  onDiverged(): void {}

  close(): Promise<void> {
    while (this.#queue.length > 0) this.#applyNext()
    this.#isClosed = true
    return Promise.resolve()
  }

  crash(): void {
    this.#queue = []
    this.#isClosed = true
  }

  #applyNext(): void {
    const entries = this.#queue.shift()
    if (entries === undefined) return
    this.#listener(entries.map((entry) => this.#applyOne(entry)))
  }

  #applyOne(entry: Entry): Applied {
    const database = this.#database
    database.appliedIndex = entry.index
    database.appliedTerm = entry.term
    if (entry.kind === 'membership') {
      const membership = decodeMembership(entry.payload)
      assert(membership.ok, 'a committed membership entry can always be read')
      database.membership = membership.value
    }
    if (entry.kind !== 'command') return { index: entry.index, term: entry.term, outcome: undefined }
    const text = new TextDecoder().decode(entry.payload)
    database.commands.push(text)
    return { index: entry.index, term: entry.term, outcome: { text, position: database.commands.length - 1 } }
  }
}
