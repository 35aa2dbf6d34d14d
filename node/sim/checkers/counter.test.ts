import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counterProblem, finalCounterProblem, type CounterOperation } from './counter.ts'
import type { Timed } from './linearizable.ts'

const increment = (began: number, ended: number, by: number): Timed<CounterOperation> => ({
  began,
  ended,
  operation: { kind: 'increment', by },
})
const read = (began: number, ended: number, value: number): Timed<CounterOperation> => ({
  began,
  ended,
  operation: { kind: 'read', value },
})

test('a counter whose increments happened once has no problem', () => {
  assert.equal(counterProblem([increment(1, 2, 5), increment(3, Infinity, 2), read(4, 5, 5), read(6, 7, 7)]), undefined)
  assert.equal(finalCounterProblem({ value: 7, done: [{ by: 5 }, { by: 2 }] }), undefined)
})

test('lost, doubled and undone increments are found out', () => {
  assert.match(counterProblem([increment(1, 2, 5), read(3, 4, 0)]) ?? '', /acknowledged/)
  assert.match(counterProblem([increment(1, 2, 5), read(3, 4, 10)]) ?? '', /only 5/)
  assert.match(counterProblem([increment(1, Infinity, 5), read(3, 4, 5), read(5, 6, 0)]) ?? '', /after another/)
  assert.match(finalCounterProblem({ value: 10, done: [{ by: 5 }] }) ?? '', /ends at 10/)
})
