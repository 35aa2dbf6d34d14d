// The cheap state machine: data in memory, applied in groups as SQLite does, each group one transaction that a power failure keeps or loses whole (WAL,
// synchronous NORMAL). It checks for itself what no SQLite could: that entries come without a gap and each once over all lives.
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import type { Applied, Divergence } from '../replica/state-machine.ts'
import type { Chance } from './chance.ts'
import { ModelData } from './model-data.ts'
import type { ReadAnswer, WriteAnswer, WriteOperation, Operation } from './operation.ts'
import type { SimDatabase, SimMachine, SimMachinePorts } from './sim-machine.ts'

interface Image {
  readonly data: ModelData
  index: number
  term: number
  membership: Membership | undefined
}

export class ModelDatabase implements SimDatabase {
  readonly #chance: Chance
  #durable: Image = { data: new ModelData(), index: 0, term: 0, membership: undefined }
  current: Image = copyOf(this.#durable)
  /** Transactions since the durable image, in order. */
  #recent: (readonly Entry[])[] = []

  constructor(chance: Chance) {
    this.#chance = chance
  }

  get durableIndex(): number {
    return this.#durable.index
  }

  get appliedIndex(): number {
    return this.current.index
  }

  get appliedTerm(): number {
    return this.current.term
  }

  get durableMembership(): Membership | undefined {
    return this.#durable.membership
  }

  open(ports: SimMachinePorts): SimMachine {
    return new ModelMachine(this, ports)
  }

  crash(how: 'process' | 'power'): void {
    if (how === 'process') return
    const kept = this.#recent.slice(0, this.#chance.below(this.#recent.length + 1))
    this.current = copyOf(this.#durable)
    this.#recent = []
    for (const group of kept) this.commit(group)
  }

  dispose(): void {
    this.#recent = []
  }

  encode(operation: WriteOperation): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(operation))
  }

  commit(entries: readonly Entry[], onStep?: (index: number, hash: number) => void): readonly Applied[] {
    this.#recent.push(entries)
    return entries.map((entry) => {
      const applied = applyOne(this.current, entry)
      onStep?.(entry.index, this.current.data.hash)
      return applied
    })
  }

  makeDurable(): number {
    this.#durable = copyOf(this.current)
    this.#recent = []
    return this.#durable.index
  }

  copy(): { readonly point: SnapshotPoint; readonly bytes: Uint8Array } | undefined {
    const { index, term, membership, data } = this.current
    if (membership === undefined) return undefined
    const bytes = new TextEncoder().encode(JSON.stringify({ index, term, membership, data: data.toJson() }))
    return { point: { index, term, membership }, bytes }
  }

  pointIn(bytes: Uint8Array): SnapshotPoint | undefined {
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as SnapshotPoint // written by copy()
    } catch {
      return undefined // no JSON
    }
  }

  replace(bytes: Uint8Array): void {
    const { index, term, membership, data } = JSON.parse(new TextDecoder().decode(bytes)) as SnapshotPoint & { readonly data: string } // checked before
    this.current = { data: ModelData.fromJson(data), index, term, membership }
    this.onReplaced()
    this.makeDurable()
  }

  image(): unknown {
    return copyOf(this.#durable)
  }

  putBack(image: unknown): void {
    this.#durable = copyOf(image as Image) // made by image()
    this.current = copyOf(this.#durable)
    this.#recent = []
  }

  diverge(): boolean {
    // In what is durable, so that a power failure brings back the same difference: a state that is replayed into yet another one is with nobody's (replica/README.md).
    this.makeDurable()
    for (const { data } of [this.current, this.#durable]) data.rolling = (data.rolling ^ 1) >>> 0
    this.onDiverge()
    return true
  }

  /** The machine that is open. */
  onReplaced: () => void = () => {}
  onDiverge: () => void = () => {}
}

class ModelMachine implements SimMachine {
  readonly #database: ModelDatabase
  readonly #ports: SimMachinePorts
  #queue: (readonly Entry[])[] = []
  #isBusy = false
  #isClosed = false
  #isDiverged = false
  /** By index, since this life began: what the state had come to. */
  readonly #hashes = new Map<number, number>()
  #comparedIndex = 0
  #divergenceListener: (divergence: Divergence) => void = () => {}
  #listener: (applied: readonly Applied[]) => void = () => {}

  constructor(database: ModelDatabase, ports: SimMachinePorts) {
    this.#database = database
    this.#ports = ports
    database.onReplaced = () => this.#replaced()
    // What it has come to is what it remembers, as in a database whose writes have had another outcome: it never differs from itself.
    database.onDiverge = () => void this.#hashes.set(this.appliedIndex, database.current.data.rolling)
  }

  get appliedIndex(): number {
    return this.#database.current.index
  }

  get appliedTerm(): number {
    return this.#database.current.term
  }

  get membership(): Membership | undefined {
    return this.#database.current.membership
  }

  apply(entries: readonly Entry[]): void {
    assert(!this.#isClosed, 'apply after close')
    if (this.#isDiverged) return
    let index = this.#queue.at(-1)?.at(-1)?.index ?? this.appliedIndex
    for (const entry of entries) assert(entry.index === (index += 1), 'entries are applied without a gap, each once')
    this.#queue.push(entries)
    this.#next()
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#listener = listener
  }

  makeDurable(): Promise<number> {
    return new Promise((resolve) => this.#ports.later(() => resolve(this.#database.makeDurable())))
  }

  stateHash(): Uint8Array | undefined {
    if (this.appliedIndex <= this.#comparedIndex || this.#hashes.size === 0) return undefined
    return new TextEncoder().encode(`${this.appliedIndex} ${this.#database.current.data.rolling}`)
  }

  onDiverged(listener: (divergence: Divergence) => void): void {
    this.#divergenceListener = listener
  }

  close(): Promise<void> {
    this.#isClosed = true
    return Promise.resolve()
  }

  read(operation: Extract<Operation, { kind: 'read' }>): ReadAnswer {
    return this.#database.current.data.read(operation)
  }

  answer(outcome: unknown): WriteAnswer {
    return outcome as WriteAnswer // made by applyOne
  }

  audit(): { readonly counters: ReadonlyMap<number, number>; readonly done: ReadonlySet<number> } {
    return this.#database.current.data
  }

  digest(): string {
    return this.#database.current.data.digest()
  }

  #next(): void {
    if (this.#isBusy || this.#queue.length === 0) return
    this.#isBusy = true
    this.#ports.later(() => {
      const group = this.#queue.shift() ?? []
      const cut = group.findIndex((entry) => this.#divergence(entry) !== undefined)
      const applied = this.#database.commit(cut === -1 ? group : group.slice(0, cut), (index, hash) => {
        this.#hashes.set(index, this.#database.current.data.rolling)
        this.#ports.onStep(index, hash)
      })
      this.#isBusy = false
      if (applied.length > 0) this.#listener(applied)
      const divergence = cut === -1 ? undefined : this.#divergence(group[cut])
      if (divergence === undefined) return this.#next()
      this.#isDiverged = true
      this.#queue = []
      this.#divergenceListener(divergence)
    })
  }

  #divergence(entry: Entry | undefined): Divergence | undefined {
    if (entry?.kind !== 'state-hash') return undefined
    const [index = 0, expected = 0] = new TextDecoder().decode(entry.payload).split(' ').map(Number)
    this.#comparedIndex = Math.max(this.#comparedIndex, index)
    const own = this.#hashes.get(index)
    return own === undefined || own === expected ? undefined : { index, own: own.toString(16), expected: expected.toString(16) }
  }

  #replaced(): void {
    assert(this.#queue.length === 0 && !this.#isBusy, 'a snapshot is installed while nothing is being applied')
    this.#hashes.clear()
    this.#isDiverged = false
    this.#ports.onReplaced(this.appliedIndex, this.#database.current.data.hash)
  }
}

function applyOne(image: Image, entry: Entry): Applied {
  assert(entry.index === image.index + 1, `entry ${entry.index} is applied to a database that stands at ${image.index}`)
  image.index = entry.index
  image.term = entry.term
  image.data.hash = crc32(entry.bytes, image.data.hash)
  if (entry.kind === 'membership') {
    const membership = decodeMembership(entry.payload)
    assert(membership.ok, 'a committed membership entry can always be read')
    image.membership = membership.value
  }
  if (entry.kind !== 'command') return { index: entry.index, term: entry.term, outcome: undefined }
  const operation = JSON.parse(new TextDecoder().decode(entry.payload)) as WriteOperation // written by encode
  const outcome = image.data.apply(operation)
  image.data.rolling = crc32(`${entry.index} ${outcome.done}`, image.data.rolling)
  return { index: entry.index, term: entry.term, outcome }
}

function copyOf(image: Image): Image {
  return { ...image, data: new ModelData(image.data) }
}
