import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { selectTests, testFiles, countTests } from './test-files.ts'

test('npm test finds the tests beside the code and leaves out the suites with their own entry', () => {
  const root = mkdtempSync(join(tmpdir(), 'securesql-test-files-'))
  try {
    for (const path of [
      'a.test.ts',
      'node/raft/b.test.ts',
      'node/raft/b.ts',
      'e2e/c.test.ts',
      'e2e/processes/d.test.ts',
      'e2e/apiserver/e.test.ts',
      'node_modules/x/f.test.ts',
      '.cache/g.test.ts',
    ]) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), '')
    }
    assert.deepEqual(testFiles(root), ['a.test.ts', 'e2e/c.test.ts', 'node/raft/b.test.ts'])
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('words select files, options go to the runner', () => {
  const files = ['node/raft/a.test.ts', 'node/store/b.test.ts']
  assert.deepEqual(selectTests(files, []), { options: [], files })
  assert.deepEqual(selectTests(files, ['raft']), { options: [], files: ['node/raft/a.test.ts'] })
  assert.deepEqual(selectTests(files, ['--test-name-pattern=vote', './node/store']), {
    options: ['--test-name-pattern=vote'],
    files: ['node/store/b.test.ts'],
  })
  assert.deepEqual(selectTests(files, ['nothing']).files, [])
})

test('the number of tests is that of the last summary, and a file in which none ran is no test', () => {
  assert.equal(countTests(['ℹ tests 3', 'ℹ pass 3'], []).tests, 3)
  assert.equal(countTests(['crashed'], []).tests, undefined)
  assert.deepEqual(countTests(['✔ a.test.ts (3.5ms)', '✔ it works (1ms)', 'ℹ tests 2'], ['a.test.ts']), {
    tests: 1,
    emptyFiles: ['a.test.ts'],
  })
})
