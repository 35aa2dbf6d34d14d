// What the simulated clients do, and what they are told. Four workloads share one database: registers (read, write, compare-and-set), lists (append),
// accounts (transfer) and counters (increments that carry an idempotency key).

/** `value`s of writes and appends are unique in a run, so that what is read says who wrote it. */
export type Operation =
  | { readonly kind: 'write'; readonly key: number; readonly value: number }
  | { readonly kind: 'cas'; readonly key: number; readonly expected: number; readonly value: number }
  | { readonly kind: 'append'; readonly key: number; readonly value: number }
  | { readonly kind: 'transfer'; readonly from: number; readonly to: number; readonly amount: number }
  /** `value`: the idempotency key: a retry carries the same. */
  | { readonly kind: 'increment'; readonly key: number; readonly value: number; readonly by: number }
  | { readonly kind: 'read'; readonly of: 'register' | 'list' | 'accounts' | 'counter'; readonly key: number }

export type WriteOperation = Exclude<Operation, { kind: 'read' }>

/** What a write is answered with: whether it did anything (a compare-and-set may not). */
export interface WriteAnswer {
  readonly done: boolean
}

/** A register or a counter holds one number (a register 0 before its first write), a list its values, the accounts their balances. */
export type ReadAnswer = readonly number[]

export const accountCount = 5
export const openingBalance = 100

export function isWrite(operation: Operation): operation is WriteOperation {
  return operation.kind !== 'read'
}

/** Short, for traces and messages. */
export function inWords(operation: Operation): string {
  switch (operation.kind) {
    case 'write':
      return `r${operation.key} := ${operation.value}`
    case 'cas':
      return `r${operation.key} ${operation.expected} -> ${operation.value}`
    case 'append':
      return `l${operation.key} += ${operation.value}`
    case 'transfer':
      return `a${operation.from} -${operation.amount}-> a${operation.to}`
    case 'increment':
      return `c${operation.key} += ${operation.by} (${operation.value})`
    case 'read':
      return `read ${operation.of} ${operation.key}`
  }
}
