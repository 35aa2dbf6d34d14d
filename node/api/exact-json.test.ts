import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseExactJson, Real } from './exact-json.ts'

/** What is the same as JSON.parse says, but for what numbers were written as. */
function asNumbers(value: unknown): unknown {
  if (value instanceof Real) return value.value
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(asNumbers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, asNumbers(field)]))
}

function parsed(parse: (text: string) => unknown, text: string): unknown {
  try {
    return { value: parse(text) }
  } catch (error) {
    assert.ok(error instanceof SyntaxError)
    return 'refused'
  }
}

const pieces =
  `[ ] [ ] { } , , , : "a" "b": "__proto__": "2": "\\" \\ " 1 0 01 -0 - -0.0 1.0 1.50 -1e3 1E+2 1e400 1e 1. .5 +1 true false null nul 12345678901234567890`
    .split(' ')
    .concat([' ', '\n', '\t', '\u000b', '"\u0001"', String.raw`"\u0041\n\ud800"`, String.raw`"\x"`, String.raw`"\\"`, String.raw`"\\\""`])

test('it takes what JSON.parse takes, for what it takes it, and nothing else', () => {
  const same = (text: string): void => {
    const expected = parsed((given) => JSON.parse(given), text)
    assert.deepEqual(
      parsed((given) => asNumbers(parseExactJson(given)), text),
      expected,
      text,
    )
  }
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
      same(parts.join(''))
      same(`[${parts.join(',')}]`)
      same(`{"x":${parts.join(',"y":')}}`)
    }),
    { numRuns: 5_000 },
  )
  fc.assert(fc.property(fc.json(), same), { numRuns: 1_000 })
})

test('numbers are what they were written as', () => {
  assert.deepEqual(parseExactJson('[1, -1, 0, 9007199254740993, -9223372036854775808, 1.5]'), [
    1,
    -1,
    0,
    9007199254740993n,
    -9223372036854775808n,
    1.5,
  ])
  assert.deepEqual(parseExactJson('[1.0, 1e3, 9223372036854775808]'), [new Real(1), new Real(1000), new Real(2 ** 63)])
})

test('lists within lists beyond all measure end nothing', () => {
  assert.throws(() => parseExactJson(`${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`), RangeError)
  assert.doesNotThrow(() => parseExactJson(`${'['.repeat(400)}${']'.repeat(400)}`))
})
