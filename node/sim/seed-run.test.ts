import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSeed } from './seed-run.ts'

test('a seed runs to the same trace each time, and another seed to another', async () => {
  const first = await runSeed({ seed: 7 })
  const second = await runSeed({ seed: 7 })
  const other = await runSeed({ seed: 8 })
  assert.equal(first.violation, undefined)
  assert.deepEqual([second.traceHash, second.events, second.operations], [first.traceHash, first.events, first.operations])
  assert.notEqual(other.traceHash, first.traceHash)
})

test('leaving faults out leaves the others where they were', async () => {
  const all = await runSeed({ seed: 7 })
  const without = await runSeed({ seed: 7, without: new Set(all.faults.slice(1).map((fault) => fault.number)) })
  assert.deepEqual(without.faults, all.faults.slice(0, 1))
  assert.equal(without.violation, undefined)
})
