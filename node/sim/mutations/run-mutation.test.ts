import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testFile } from './mutation.ts'
import { runMutation } from './run-mutation.ts'

const majority = { hazard: 20, text: 'half is a majority', file: 'node/raft/quorum.ts', by: testFile('node/raft/quorum.test.ts') }

test('a mutation is seen by what it breaks, and not by anything else', async () => {
  const find = 'return Math.floor(count / 2) + 1'
  const caught = await runMutation({ ...majority, find, replace: 'return Math.ceil(count / 2)' })
  assert.equal(caught.kind, 'caught')
  const harmless = await runMutation({ ...majority, find, replace: 'return 1 + Math.floor(count / 2)' })
  assert.equal(harmless.kind, 'survived')
})

test('a mutation that no longer fits the code is said to be unfit, not caught', async () => {
  const verdict = await runMutation({ ...majority, find: 'nothing like this stands there', replace: '' })
  assert.equal(verdict.kind, 'unfit')
})
