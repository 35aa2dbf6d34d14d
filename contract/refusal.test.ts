import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { refusalCodes, refusals } from './refusal.ts'

test('docs/errors.md lists every code with its status, and no other', () => {
  const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
  const listed = [...text.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => `${code} ${status}`)
  assert.deepEqual(listed.toSorted(), refusalCodes.map((code) => `${code} ${refusals[code]}`).toSorted())
})
