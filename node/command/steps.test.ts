// Long work stops between steps, and comes to the same as in one go.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeInSteps, judgeText } from './gate.ts'
import { splitInSteps, splitStatements } from './split.ts'
import { atOnce, type Steps } from './steps.ts'

/** What comes of it, and how often it has stopped. */
function counted<Value>(steps: Steps<Value>): { readonly value: Value; readonly pauses: number } {
  for (let pauses = 0; ; pauses += 1) {
    const step = steps.next()
    if (step.done === true) return { value: step.value, pauses }
  }
}

const statement = "INSERT INTO t(a, b) VALUES (1, 'x');"
const tokensOfOne = 15
const many = statement.repeat(10_000)

test('a text of many statements is split and judged in steps of some thousand tokens', () => {
  const split = counted(splitInSteps(many, Infinity))
  assert.deepEqual(split.value, splitStatements(many))
  assert.ok(split.pauses >= (10_000 * tokensOfOne) / 10_000, `${split.pauses} while it is split`)
  const judged = counted(judgeInSteps(many, { for: 'execute' }))
  assert.deepEqual(judged.value, judgeText(many, { for: 'execute' }))
  assert.ok(judged.pauses >= split.pauses + (10_000 * tokensOfOne) / 10_000, `${judged.pauses} while it is judged`)
})

test('one long statement is split in steps', () => {
  const text = `SELECT ${'1,'.repeat(50_000)}1`
  assert.ok(counted(splitInSteps(text, Infinity)).pauses >= 10)
})

test('what is refused at the end of a long text refuses all of it, in steps or not', () => {
  for (const end of ['ATTACH "x" AS y', 'SELECT \\', 'SELECT 1,'.repeat(200_000)]) {
    const judged = atOnce(judgeInSteps(many + end, { for: 'execute' }))
    assert.equal(judged.ok, false, end.slice(0, 20))
    assert.deepEqual(judged, judgeText(many + end, { for: 'execute' }))
  }
})

test('a short text has no pause', () => {
  assert.equal(counted(judgeInSteps(statement.repeat(100), { for: 'execute' })).pauses, 0)
})
