// Takes a run's history apart, workload by workload and key by key, and gives each part to its checker. PURE.
import { accountCount, openingBalance } from '../operation.ts'
import type { Record } from '../history.ts'
import { bankProblem } from './bank.ts'
import { counterProblem, type CounterOperation } from './counter.ts'
import { isLinearizable, type RegisterOperation, type Timed } from './linearizable.ts'
import { listProblem, type ListOperation } from './list-append.ts'

export interface HistoryVerdict {
  readonly problems: readonly string[]
  /** Registers whose search was given up: no verdict. */
  readonly undecided: number
}

export function checkHistory(records: readonly Record[]): HistoryVerdict {
  const problems: string[] = []
  let undecided = 0
  const add = (what: string, problem: string | undefined): void => void (problem !== undefined && problems.push(`${what}: ${problem}`))
  for (const [key, history] of byKey(records, registerOperation)) {
    const verdict = isLinearizable(history, 0)
    if (verdict === 'gave up') undecided += 1
    add(`register ${key}`, verdict === 'no' ? 'its history is not linearizable' : undefined)
  }
  for (const [key, history] of byKey(records, listOperation)) add(`list ${key}`, listProblem(history, refusedAppends(records)))
  for (const [key, history] of byKey(records, counterOperation)) add(`counter ${key}`, counterProblem(history))
  const balances = records.flatMap(({ operation, ending }) =>
    operation.kind === 'read' && operation.of === 'accounts' && ending.kind === 'answered' ? [ending.values] : [],
  )
  add('accounts', bankProblem(balances, accountCount * openingBalance))
  return { problems, undecided }
}

/** Undefined: not of this workload, or without effect and answer. */
type Take<Operation> = (record: Record) => { readonly key: number; readonly operation: Operation } | undefined

const registerOperation: Take<RegisterOperation> = ({ operation, ending }) => {
  if (ending.kind === 'refused') return undefined
  switch (operation.kind) {
    case 'write':
      return { key: operation.key, operation: { kind: 'write', value: operation.value } }
    case 'cas':
      return { key: operation.key, operation: { ...operation, done: ending.kind === 'answered' ? ending.done : undefined } }
    case 'read':
      if (operation.of !== 'register' || ending.kind !== 'answered') return undefined
      return { key: operation.key, operation: { kind: 'read', value: ending.values[0] ?? 0 } }
    case 'append':
    case 'transfer':
    case 'increment':
      return undefined
  }
}

const listOperation: Take<ListOperation> = ({ operation, ending }) => {
  if (operation.kind === 'append' && ending.kind !== 'refused')
    return { key: operation.key, operation: { kind: 'append', value: operation.value } }
  if (operation.kind !== 'read' || operation.of !== 'list' || ending.kind !== 'answered') return undefined
  return { key: operation.key, operation: { kind: 'read', values: ending.values } }
}

const counterOperation: Take<CounterOperation> = ({ operation, ending }) => {
  if (operation.kind === 'increment') return { key: operation.key, operation: { kind: 'increment', by: operation.by } }
  if (operation.kind !== 'read' || operation.of !== 'counter' || ending.kind !== 'answered') return undefined
  return { key: operation.key, operation: { kind: 'read', value: ending.values[0] ?? 0 } }
}

function byKey<Operation>(records: readonly Record[], take: Take<Operation>): ReadonlyMap<number, Timed<Operation>[]> {
  const keys = new Map<number, Timed<Operation>[]>()
  for (const record of records) {
    const taken = take(record)
    if (taken === undefined) continue
    const ended = record.ending.kind === 'answered' ? record.ending.at : Infinity
    const history = keys.get(taken.key) ?? []
    history.push({ operation: taken.operation, began: record.began, ended })
    keys.set(taken.key, history)
  }
  return keys
}

function refusedAppends(records: readonly Record[]): ReadonlySet<number> {
  return new Set(
    records.flatMap(({ operation, ending }) => (operation.kind === 'append' && ending.kind === 'refused' ? [operation.value] : [])),
  )
}
