// The data of the cheap state machine: what four small tables would hold. PURE.
import { accountCount, openingBalance, type ReadAnswer, type WriteAnswer, type WriteOperation, type Operation } from './operation.ts'

type Fields = Pick<ModelData, 'registers' | 'lists' | 'accounts' | 'counters' | 'done' | 'hash' | 'rolling'>
type Parts = [[number, number][], [number, number[]][], number[], [number, number][], number[], number, number]

export class ModelData {
  readonly registers: Map<number, number>
  readonly lists: Map<number, number[]>
  readonly accounts: number[]
  readonly counters: Map<number, number>
  readonly done: Set<number>
  /** Over all entries applied so far, in order. */
  hash: number
  /** Over what they did: what nodes compare among themselves. */
  rolling: number

  constructor(from?: Fields) {
    this.registers = new Map(from?.registers)
    this.lists = new Map(Array.from(from?.lists ?? [], ([key, values]) => [key, [...values]]))
    this.accounts = from === undefined ? Array.from({ length: accountCount }, () => openingBalance) : [...from.accounts]
    this.counters = new Map(from?.counters)
    this.done = new Set(from?.done)
    this.hash = from?.hash ?? 0
    this.rolling = from?.rolling ?? 0
  }

  apply(operation: WriteOperation): WriteAnswer {
    switch (operation.kind) {
      case 'write':
        this.registers.set(operation.key, operation.value)
        return { done: true }
      case 'cas':
        if ((this.registers.get(operation.key) ?? 0) !== operation.expected) return { done: false }
        this.registers.set(operation.key, operation.value)
        return { done: true }
      case 'append':
        this.lists.set(operation.key, [...(this.lists.get(operation.key) ?? []), operation.value])
        return { done: true }
      case 'transfer':
        this.accounts[operation.from] = (this.accounts[operation.from] ?? 0) - operation.amount
        this.accounts[operation.to] = (this.accounts[operation.to] ?? 0) + operation.amount
        return { done: true }
      case 'increment':
        // Done before: the retry of a client that was not told. It is told now.
        if (this.done.has(operation.value)) return { done: true }
        this.done.add(operation.value)
        this.counters.set(operation.key, (this.counters.get(operation.key) ?? 0) + operation.by)
        return { done: true }
    }
  }

  read(operation: Extract<Operation, { kind: 'read' }>): ReadAnswer {
    switch (operation.of) {
      case 'register':
        return [this.registers.get(operation.key) ?? 0]
      case 'list':
        return [...(this.lists.get(operation.key) ?? [])]
      case 'accounts':
        return [...this.accounts]
      case 'counter':
        return [this.counters.get(operation.key) ?? 0]
    }
  }

  /** For a copy. */
  toJson(): string {
    return JSON.stringify([
      Array.from(this.registers),
      Array.from(this.lists),
      this.accounts,
      Array.from(this.counters),
      Array.from(this.done),
      this.hash,
      this.rolling,
    ])
  }

  static fromJson(text: string): ModelData {
    const [registers, lists, accounts, counters, done, hash, rolling] = JSON.parse(text) as Parts // our own copy, its hash is right
    return new ModelData({
      registers: new Map(registers),
      lists: new Map(lists),
      accounts,
      counters: new Map(counters),
      done: new Set(done),
      hash,
      rolling,
    })
  }

  /** The whole of it, so that two can be compared. */
  digest(): string {
    return JSON.stringify([
      sorted(this.registers),
      sorted(this.lists),
      this.accounts,
      sorted(this.counters),
      Array.from(this.done).toSorted((a, b) => a - b),
    ])
  }
}

function sorted<Value>(map: ReadonlyMap<number, Value>): readonly (readonly [number, Value])[] {
  return Array.from(map).toSorted((a, b) => a[0] - b[0])
}
