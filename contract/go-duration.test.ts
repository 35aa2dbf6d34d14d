import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as assertProperty, integer, property } from 'fast-check'
import { formatGoDuration, parseGoDuration, printGoDuration } from './go-duration.ts'

for (const [text, ms] of [
  ['0', 0],
  ['+0', 0],
  ['0s', 0],
  ['50ms', 50],
  ['1.5s', 1500],
  ['.5s', 500],
  ['1.s', 1000],
  ['1m30s', 90_000],
  ['1h', 3_600_000],
  ['2h45m', 9_900_000],
  ['100us', 0.1],
  ['100µs', 0.1],
  ['1500000ns', 1.5],
  ['-1.5h', -5_400_000],
  ['+5s', 5000],
] as const) {
  test(`the Go duration ${text} is ${ms} ms`, () => {
    const parsed = parseGoDuration(text)
    assert.equal(parsed.ok, true)
    assert.ok(parsed.ok && Math.abs(parsed.value - ms) < 1e-9)
  })
}

for (const text of ['', '-', '5', '1.5', 's', '.s', '1x', '1 s', ' 1s', '1s ', '1s2', '1,5s', '--1s', '1e3s', '9999999999h', '1S']) {
  test(`${JSON.stringify(text)} is not a duration`, () => {
    assert.equal(parseGoDuration(text).ok, false)
  })
}

test('a formatted duration parses back to the same milliseconds', () => {
  assertProperty(
    property(integer({ min: 0, max: 10_000_000 }), (ms) => {
      const parsed = parseGoDuration(formatGoDuration(ms))
      assert.ok(parsed.ok)
      assert.equal(parsed.value, ms)
    }),
  )
})

for (const [ms, text] of [
  [0, '0s'],
  [0.0001, '100ns'],
  [0.345, '345µs'],
  [0.0015, '1.5µs'],
  [1, '1ms'],
  [12.345678, '12.345678ms'],
  [1000, '1s'],
  [1500, '1.5s'],
  [61_000, '1m1s'],
  [60_000, '1m0s'],
  [3_600_000, '1h0m0s'],
  [90_061_001, '25h1m1.001s'],
  [-1500, '-1.5s'],
] as const) {
  test(`${ms} ms are printed as ${text}, as by Go`, () => {
    assert.equal(printGoDuration(ms), text)
  })
}
