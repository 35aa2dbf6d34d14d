import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { nodeFlags } from '../node-flags.ts'
import { flagDocs } from './flag-docs.ts'
import { parseFlagValue } from './flag-value.ts'
import { helpText } from './help-text.ts'

test('docs/flags.md says what the table says', () => {
  assert.equal(readFileSync(new URL('../../docs/flags.md', import.meta.url), 'utf8'), flagDocs(), 'run: node contract/write-flag-docs.ts')
})

test('every default parses as its own kind', () => {
  for (const [name, flag] of nodeFlags) {
    if (flag.status === 'gone') continue
    assert.equal(parseFlagValue(flag.kind, flag.default).ok, true, name)
  }
})

test('help names every flag that works or comes, and none that is gone', () => {
  const words = new Set(helpText().match(/-[a-z][a-z-]*/g))
  for (const [name, flag] of nodeFlags) assert.equal(words.has(`-${name}`), flag.status !== 'gone', name)
})
