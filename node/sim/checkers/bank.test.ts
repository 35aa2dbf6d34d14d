import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bankProblem } from './bank.ts'

test('a total that changes is found out', () => {
  assert.equal(
    bankProblem(
      [
        [100, 100],
        [80, 120],
      ],
      200,
    ),
    undefined,
  )
  assert.match(
    bankProblem(
      [
        [100, 100],
        [80, 100],
      ],
      200,
    ) ?? '',
    /80 100/,
  )
})
