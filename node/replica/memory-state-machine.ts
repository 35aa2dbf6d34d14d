// The state machine's twin in memory: remembers the commands and answers each with its text and how many there were before.
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { Clock } from './clock.ts'
import type { Applied, Divergence, StateMachine } from './state-machine.ts'

/** Everything a state machine holds at one index: what a snapshot is made of. */
export interface MemoryImage {
  readonly appliedIndex: number
  readonly appliedTerm: number
  readonly membership: Membership | undefined
  readonly commands: readonly string[]
  /** Of all commands so far, each with its index. */
  readonly hash: number
}

/** For how many commands back a hash can still be compared. */
const hashesMax = 4_096

/** What survives the process: the database, so to speak. What survives a power failure too is only what `sync` has seen. */
export class MemoryDatabase {
  appliedIndex = 0
  appliedTerm = 0
  membership: Membership | undefined = undefined
  commands: string[] = []
  hash = 0
  /** What `hash` was after each of the newest commands, by index. */
  readonly hashAt = new Map<number, number>()
  #synced: MemoryImage = this.#view()
  #syncedCommands = 0

  /** A copy. */
  image(): MemoryImage {
    return { ...this.#view(), commands: [...this.commands] }
  }

  /** At once and durably, as a snapshot is installed. */
  replace(image: MemoryImage): void {
    this.#become(image)
    this.sync()
  }

  /** It comes to differ from the others', unseen. */
  damage(): void {
    this.hash = (this.hash ^ 1) >>> 0
  }

  sync(): void {
    this.#synced = this.#view()
    this.#syncedCommands = this.commands.length
  }

  losePower(): void {
    // Commands are only ever added, so the first ones are still those that were synced.
    this.#become({ ...this.#synced, commands: this.#synced.commands.slice(0, this.#syncedCommands) })
  }

  /** Something has been applied that changed the hash. */
  remember(): void {
    this.hashAt.set(this.appliedIndex, this.hash)
    const oldest = this.hashAt.size > hashesMax ? this.hashAt.keys().next().value : undefined
    if (oldest !== undefined) this.hashAt.delete(oldest)
  }

  #become({ appliedIndex, appliedTerm, membership, commands, hash }: MemoryImage): void {
    Object.assign(this, { appliedIndex, appliedTerm, membership, hash, commands: [...commands] })
    this.hashAt.clear()
  }

  #view(): MemoryImage {
    const { appliedIndex, appliedTerm, membership, commands, hash } = this
    return { appliedIndex, appliedTerm, membership, commands, hash }
  }
}

export class MemoryStateMachine implements StateMachine {
  readonly #database: MemoryDatabase
  readonly #clock: Clock
  #newest: number | undefined
  #comparedIndex = 0
  #queue: (readonly Entry[])[] = []
  #listener: (applied: readonly Applied[]) => void = () => {}
  #divergenceListener: (divergence: Divergence) => void = () => {}
  #state: 'applying' | 'diverged' | 'closed' | 'dead' = 'applying'

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

  get isDiverged(): boolean {
    return this.#state === 'diverged'
  }

  apply(entries: readonly Entry[]): void {
    assert(this.#state !== 'closed', 'apply after close')
    if (this.#state === 'diverged' || this.#state === 'dead') return
    let index = this.#queue.at(-1)?.at(-1)?.index ?? this.#database.appliedIndex
    for (const entry of entries) assert(entry.index === (index += 1), 'entries are applied without a gap, each once')
    this.#queue.push(entries)
    this.#clock.soon(() => this.#applyNext())
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#listener = listener
  }

  makeDurable(): Promise<number> {
    this.#database.sync()
    return Promise.resolve(this.#database.appliedIndex)
  }

  stateHash(): Uint8Array | undefined {
    const index = this.#newest
    if (index === undefined || index <= this.#comparedIndex) return undefined
    return new TextEncoder().encode(`${index} ${hexadecimal(this.#database.hashAt.get(index) ?? 0)}`)
  }

  onDiverged(listener: (divergence: Divergence) => void): void {
    this.#divergenceListener = listener
  }

  /** A snapshot takes the place of everything; given only while nothing is being applied. */
  replace(image: MemoryImage): void {
    if (this.#state === 'dead') return
    assert(this.#state !== 'closed' && this.#queue.length === 0, 'a snapshot is installed while nothing is being applied')
    this.#database.replace(image)
    this.#newest = undefined
    this.#state = 'applying'
  }

  close(): Promise<void> {
    while (this.#queue.length > 0) this.#applyNext()
    this.#state = 'closed'
    return Promise.resolve()
  }

  /** The process dies: what was not applied is not, and what the rest of it still asks for does not happen. */
  crash(): void {
    this.#queue = []
    this.#state = 'dead'
  }

  #applyNext(): void {
    const entries = this.#queue.shift()
    if (entries === undefined) return
    const applied: Applied[] = []
    let divergence: Divergence | undefined
    for (const entry of entries) {
      divergence = entry.kind === 'state-hash' ? this.#compare(entry) : undefined
      if (divergence !== undefined) break
      applied.push(this.#applyOne(entry))
    }
    if (divergence !== undefined) {
      this.#state = 'diverged'
      this.#queue = []
    }
    if (applied.length > 0) this.#listener(applied)
    if (divergence !== undefined) this.#divergenceListener(divergence)
  }

  #compare(entry: Entry): Divergence | undefined {
    const [at = '', expected = ''] = new TextDecoder().decode(entry.payload).split(' ')
    this.#comparedIndex = Math.max(this.#comparedIndex, Number(at))
    const own = this.#database.hashAt.get(Number(at))
    if (own === undefined || hexadecimal(own) === expected) return undefined
    return { index: Number(at), own: hexadecimal(own), expected }
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
    database.hash = crc32(`${entry.index} ${text}`, database.hash)
    database.remember()
    this.#newest = entry.index
    return { index: entry.index, term: entry.term, outcome: { text, position: database.commands.length - 1 } }
  }
}

function hexadecimal(hash: number): string {
  return hash.toString(16).padStart(8, '0')
}
