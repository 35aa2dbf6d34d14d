// The data of the cheap state machine: what four small tables would hold. PURE.
import { accountCount, openingBalance, type ReadAnswer, type WriteAnswer, type WriteOperation, type Operation } from './operation.ts'

export class ModelData {
  readonly registers: Map<number, number>
  readonly lists: Map<number, number[]>
  readonly accounts: number[]
  readonly counters: Map<number, number>
  readonly done: Set<number>
  /** Over everything applied so far, in order. */
  hash: number

  constructor(from?: ModelData) {
    this.registers = new Map(from?.registers)
    this.lists = new Map(Array.from(from?.lists ?? [], ([key, values]) => [key, [...values]]))
    this.accounts = from === undefined ? Array.from({ length: accountCount }, () => openingBalance) : [...from.accounts]
    this.counters = new Map(from?.counters)
    this.done = new Set(from?.done)
    this.hash = from?.hash ?? 0
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
