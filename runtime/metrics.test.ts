import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from './metrics.ts'

test('a counter shows every combination of its labels at 0 before anything happened', async () => {
  const metrics = new Metrics()
  const refusals = metrics.counter({ name: 'securesql_things_total', help: 'Things.', labels: { code: ['a', 'b'], how: ['x', 'y'] } })
  const before = await metrics.render()
  for (const [code, how] of [
    ['a', 'x'],
    ['a', 'y'],
    ['b', 'x'],
    ['b', 'y'],
  ])
    assert.ok(before.includes(`securesql_things_total{code="${code}",how="${how}"} 0`))
  refusals.add({ code: 'b', how: 'x' })
  assert.ok((await metrics.render()).includes('securesql_things_total{code="b",how="x"} 1'))
})

test('each combination of labels counts for itself, also where a list says a value twice; a value that is in no list is a bug', async () => {
  const metrics = new Metrics()
  const counter = metrics.counter({
    name: 'securesql_c_total',
    help: 'C.',
    labels: { a: ['x', 'y', 'x'], b: ['1', '2'], c: ['s', 't', 'u'] },
  })
  let amount = 1
  for (const a of ['x', 'y'] as const)
    for (const b of ['1', '2'] as const) for (const c of ['s', 't', 'u'] as const) counter.add({ a, b, c }, (amount *= 2))
  const texts = [await metrics.render(), await metrics.render()]
  amount = 1
  for (const a of ['x', 'y'])
    for (const b of ['1', '2'])
      for (const c of ['s', 't', 'u']) {
        amount *= 2
        for (const text of texts) assert.ok(text.includes(`securesql_c_total{a="${a}",b="${b}",c="${c}"} ${amount}\n`), text)
      }
  assert.throws(() => counter.add({ a: 'z' as 'x', b: '1', c: 's' }), /closed list/)
  assert.throws(() => counter.add({ a: 'x', b: '1', c: 's' }, -1), /never falls/)
})

test('two registries of one process do not mix', async () => {
  const first = new Metrics()
  const second = new Metrics()
  first.counter({ name: 'securesql_a_total', help: 'A.', labels: {} }).add({}, 3)
  second.counter({ name: 'securesql_a_total', help: 'A.', labels: {} })
  assert.ok((await first.render()).includes('securesql_a_total 3'))
  assert.ok((await second.render()).includes('securesql_a_total 0'))
})

test('a gauge is read when somebody fetches', async () => {
  const metrics = new Metrics()
  let value = 1
  metrics.gauge({ name: 'securesql_term', help: 'Term.', read: () => value })
  value = 7
  assert.ok((await metrics.render()).includes('securesql_term 7'))
})

test('a timing counts into its buckets', async () => {
  const metrics = new Metrics()
  const timing = metrics.timing({
    name: 'securesql_http_request_seconds',
    help: 'Time.',
    labels: { endpoint: ['a'] },
    bucketSeconds: [0.1, 1],
  })
  timing.observe({ endpoint: 'a' }, 0.5)
  const text = await metrics.render()
  assert.ok(text.includes('securesql_http_request_seconds_bucket{le="0.1",endpoint="a"} 0'), text)
  assert.ok(text.includes('securesql_http_request_seconds_bucket{le="1",endpoint="a"} 1'), text)
})

test('a name without the prefix or the unit, or a label list that explodes, is a bug', () => {
  const metrics = new Metrics()
  const many = Array.from({ length: 30 }, (_, i) => String(i))
  assert.throws(() => metrics.counter({ name: 'things_total', help: '', labels: {} }))
  assert.throws(() => metrics.counter({ name: 'securesql_things', help: '', labels: {} }))
  assert.throws(() => metrics.counter({ name: 'securesql_b_total', help: '', labels: { a: many, b: many } }))
})
