import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SqlValue } from '../command/command.ts'
import { sqliteTime } from './sqlite-time.ts'

const cases: readonly [value: SqlValue, shown: string | undefined][] = [
  [0n, '1970-01-01T00:00:00Z'],
  [1704164645n, '2024-01-02T03:04:05Z'],
  [1704164645123n, '2024-01-02T03:04:05.123Z'],
  [-1n, '1969-12-31T23:59:59Z'],
  [1.5, undefined],
  [1704164645, undefined], // a REAL
  [2n ** 62n, undefined],
  ['2024-01-02', '2024-01-02T00:00:00Z'],
  ['2024-01-02 03:04', '2024-01-02T03:04:00Z'],
  ['2024-01-02T03:04:05', '2024-01-02T03:04:05Z'],
  ['2024-01-02T03:04:05Z', '2024-01-02T03:04:05Z'],
  ['2024-01-02 03:04:05.120', '2024-01-02T03:04:05.12Z'],
  ['2024-01-02 03:04:05.123456789', '2024-01-02T03:04:05.123456789Z'],
  ['2024-01-02 03:04:05+02:00', '2024-01-02T03:04:05+02:00'],
  ['2024-01-02 03:04:05+00:00', '2024-01-02T03:04:05Z'],
  ['2024-02-30', undefined],
  ['2024-01-02 24:00:00', undefined],
  ['2024-01-02 03:04:61', undefined],
  ['yesterday', undefined],
  [null, undefined],
  [Uint8Array.from([1]), undefined],
]

for (const [value, shown] of cases) {
  test(`${String(value)} in a DATETIME column is ${shown ?? 'shown as it is'}`, () => assert.equal(sqliteTime(value, 'datetime'), shown))
}

test('only columns declared DATE, DATETIME or TIMESTAMP hold times', () => {
  const shown = ['date', 'datetime', 'timestamp', 'time', 'text', 'integer', ''].filter(
    (type) => sqliteTime('2024-01-02', type) !== undefined,
  )
  assert.deepEqual(shown, ['date', 'datetime', 'timestamp'])
})
