import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Timed } from './linearizable.ts'
import { listProblem, type ListOperation } from './list-append.ts'

const append = (began: number, ended: number, value: number): Timed<ListOperation> => ({
  began,
  ended,
  operation: { kind: 'append', value },
})
const read = (began: number, ended: number, ...values: number[]): Timed<ListOperation> => ({
  began,
  ended,
  operation: { kind: 'read', values },
})
const none: ReadonlySet<number> = new Set()

test('a good history has no problem, whatever became of what is unknown', () => {
  assert.equal(
    listProblem([append(1, 2, 1), append(3, Infinity, 2), append(4, 5, 3), read(6, 7, 1, 3), read(8, 9, 1, 3, 2)], none),
    undefined,
  )
  assert.equal(listProblem([], none), undefined)
})

test('each way to be wrong is named', () => {
  assert.match(listProblem([append(1, 2, 1), read(3, 4)], none) ?? '', /misses value 1/)
  assert.match(listProblem([append(1, 2, 1), read(3, 4, 1, 1)], none) ?? '', /twice/)
  assert.match(listProblem([read(3, 4, 9)], none) ?? '', /never appended/)
  assert.match(listProblem([append(1, 2, 1), append(3, 4, 2), read(5, 6, 2, 1)], none) ?? '', /behind one/)
  assert.match(listProblem([append(1, 9, 1), append(2, 9, 2), read(10, 11, 1, 2), read(12, 13, 2, 1)], none) ?? '', /no beginning/)
  assert.match(listProblem([append(1, Infinity, 1), read(2, 3, 1), read(4, 5)], none) ?? '', /after another/)
  assert.match(listProblem([append(1, Infinity, 1), read(4, 5, 1)], new Set([1])) ?? '', /refused/)
  assert.match(listProblem([read(1, 2, 1), append(3, 4, 1)], none) ?? '', /before it was sent/)
})
