import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRequestParameters } from './request-parameters.ts'

function parse(query: string) {
  const parsed = parseRequestParameters(query)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.value
}

test('a flag counts by being there, whatever its value', () => {
  for (const query of ['transaction', 'transaction=', 'transaction=false', 'a=b&transaction=0&c'])
    assert.equal(parse(query).has('transaction'), true, query)
  assert.equal(parse('Transaction').has('transaction'), false)
  assert.equal(parse('').has('transaction'), false)
})

test('the first of several values wins, and what is not known is ignored', () => {
  assert.equal(parse('level=none&level=strong&whatever=1').text('level'), 'none')
})

test('names and values are decoded; plus is a space', () => {
  assert.equal(parse('q=SELECT+%27a%2Bb%27&%6Cevel=none').text('q'), "SELECT 'a+b'")
  assert.equal(parse('%6Cevel=none').text('level'), 'none')
  assert.equal(parse('q=a=b').text('q'), 'a=b')
})

test('durations are those of Go; a negative one is none at all', () => {
  const parameters = parse('timeout=1m30s&freshness=500ms&db_timeout=0&linearizable_timeout=-1s')
  assert.deepEqual(
    (['timeout', 'freshness', 'db_timeout', 'linearizable_timeout'] as const).map((name) => parameters.durationMs(name)),
    [90_000, 500, 0, 0],
  )
})

const refused: readonly [query: string, message: string][] = [
  ['freshness_strict', 'freshness_strict requires freshness'],
  ['timeout=5', 'timeout is not a valid duration'],
  ['freshness=', 'freshness is not a valid duration'],
  ['db_timeout=1x', 'db_timeout is not a valid duration'],
  ['linearizable_timeout=abc', 'linearizable_timeout is not a valid duration'],
  ['retries=one', 'retries is not a valid integer'],
  ['retries=1.5', 'retries is not a valid integer'],
  ['trailing_logs=', 'trailing_logs is not a valid integer'],
  ['q=', 'query parameter not set'],
  ['q', 'query parameter not set'],
  ['q=%zz', 'the query string is not valid URL encoding'],
  ['q=%ff', 'the query string is not valid URL encoding'],
]

for (const [query, message] of refused) {
  test(`?${query} is refused: ${message}`, () => {
    assert.deepEqual(parseRequestParameters(query), { ok: false, problem: { code: 'invalid_parameter', message } })
  })
}
