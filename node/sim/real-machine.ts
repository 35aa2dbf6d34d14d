// One life of the production's SQLite state machine in the simulator, and a reader's connection beside it.
import Database from 'better-sqlite3'
import type { Entry } from '../raft/entry.ts'
import type { Membership } from '../raft/membership.ts'
import type { Applied, Divergence } from '../replica/state-machine.ts'
import type { Operation, ReadAnswer, WriteAnswer } from './operation.ts'
import type { RealDatabase } from './real-database.ts'
import type { SimMachine, SimMachinePorts } from './sim-machine.ts'
import { answerOf, auditOf, digestOf, readFrom } from './sql-operations.ts'

export class RealMachine implements SimMachine {
  readonly #database: RealDatabase
  readonly #ports: SimMachinePorts
  readonly #untold: (readonly Applied[])[] = []

  constructor(database: RealDatabase, ports: SimMachinePorts) {
    this.#database = database
    this.#ports = ports
  }

  get appliedIndex(): number {
    return this.#database.machine.appliedIndex
  }

  get appliedTerm(): number {
    return this.#database.machine.appliedTerm
  }

  get membership(): Membership | undefined {
    return this.#database.machine.membership
  }

  apply(entries: readonly Entry[]): void {
    this.#database.machine.apply(entries)
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#database.machine.onApplied((applied) => {
      // As if a thread had told it, in order: the process may end before it hears of it.
      this.#untold.push(applied)
      this.#ports.later(() => {
        const next = this.#untold.shift() ?? []
        for (const { index } of next) this.#ports.onStep(index, 0)
        listener(next)
      })
    })
  }

  /** As the port says, but at once: a thread of its own would not run in virtual time. */
  makeDurable(): Promise<number> {
    return new Promise((resolve) => this.#ports.later(() => resolve(this.#database.makeDurable())))
  }

  stateHash(): Uint8Array | undefined {
    return this.#database.machine.stateHash()
  }

  onDiverged(listener: (divergence: Divergence) => void): void {
    this.#database.machine.onDiverged(listener)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  read(operation: Extract<Operation, { kind: 'read' }>): ReadAnswer {
    return this.#withReader((reader) => readFrom(reader, operation))
  }

  answer(outcome: unknown): WriteAnswer {
    return answerOf(outcome)
  }

  audit(): { readonly counters: ReadonlyMap<number, number>; readonly done: ReadonlySet<number> } {
    return this.#withReader(auditOf)
  }

  digest(): string {
    return this.#withReader(digestOf)
  }

  /** Not kept open: a snapshot may take the file's place at any time. */
  #withReader<Value>(read: (reader: Database.Database) => Value): Value {
    const reader = new Database(this.#database.path, { readonly: true })
    try {
      return read(reader)
    } finally {
      reader.close()
    }
  }
}
