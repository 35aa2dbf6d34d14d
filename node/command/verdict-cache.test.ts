import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeText } from './gate.ts'
import { rememberVerdicts } from './verdict-cache.ts'

function counted(): { readonly judge: ReturnType<typeof rememberVerdicts>; readonly asked: string[] } {
  const asked: string[] = []
  const judge = rememberVerdicts((text, options) => {
    asked.push(`${options.for} ${text.slice(0, 20)}`)
    return judgeText(text, options)
  })
  return { judge, asked }
}

test('a text is judged once for each purpose, and a write stays refused as a query', () => {
  const { judge, asked } = counted()
  const text = 'DELETE FROM t'
  for (let round = 0; round < 3; round += 1) {
    assert.equal(judge(text, { for: 'execute' }).ok, true)
    assert.equal(judge(text, { for: 'query' }).ok, false)
    assert.equal(judge(text, { for: 'request' }).ok, true)
  }
  assert.deepEqual(asked, ['execute DELETE FROM t', 'query DELETE FROM t', 'request DELETE FROM t'])
})

test('a refusal is remembered as a refusal', () => {
  const { judge } = counted()
  assert.deepEqual(judge('ATTACH x AS y', { for: 'execute' }), judgeText('ATTACH x AS y', { for: 'execute' }))
  assert.deepEqual(judge('ATTACH x AS y', { for: 'execute' }), judgeText('ATTACH x AS y', { for: 'execute' }))
})

test('long texts are not kept, and many texts do not grow the memory without end', () => {
  const { judge, asked } = counted()
  const long = `SELECT '${'x'.repeat(5_000)}'`
  judge(long, { for: 'query' })
  judge(long, { for: 'query' })
  assert.equal(asked.length, 2)
  for (let n = 0; n < 1_001; n += 1) judge(`SELECT ${n}`, { for: 'query' })
  judge('SELECT 0', { for: 'query' })
  assert.equal(asked.filter((line) => line === 'query SELECT 0').length, 2, 'forgotten meanwhile, judged again')
})
