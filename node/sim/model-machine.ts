// The cheap state machine: data in memory, applied in groups as SQLite does, each group one transaction that a power failure keeps or loses whole (WAL,
// synchronous NORMAL). It checks for itself what no SQLite could: that entries come without a gap and each once over all lives.
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { Applied } from '../replica/state-machine.ts'
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

  /** The database of another node in place of this one: what a snapshot does. */
  replace(image: Image): void {
    this.current = copyOf(image)
    this.makeDurable()
  }
}

class ModelMachine implements SimMachine {
  readonly #database: ModelDatabase
  readonly #ports: SimMachinePorts
  #queue: (readonly Entry[])[] = []
  #isBusy = false
  #isClosed = false
  #listener: (applied: readonly Applied[]) => void = () => {}

  constructor(database: ModelDatabase, ports: SimMachinePorts) {
    this.#database = database
    this.#ports = ports
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

  stateHash(): undefined {}

  onDiverged(): void {}

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
      const applied = this.#database.commit(group, this.#ports.onStep)
      this.#isBusy = false
      this.#listener(applied)
      this.#next()
    })
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
  return { index: entry.index, term: entry.term, outcome: image.data.apply(operation) }
}

function copyOf(image: Image): Image {
  return { ...image, data: new ModelData(image.data) }
}
