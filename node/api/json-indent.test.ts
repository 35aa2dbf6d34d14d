import assert from 'node:assert/strict'
import { test } from 'node:test'
import { indentJson } from './json-indent.ts'

for (const value of [
  {},
  [],
  { a: [] },
  [{}],
  { a: { b: [1, 2, [3]] }, c: 'x:,[]{}"\\' },
  ['"', '\\', '\\"'],
  'text',
  5,
  null,
  [[], [[]], {}],
]) {
  test(`${JSON.stringify(value)} is indented as JSON.stringify does`, () => {
    assert.equal(indentJson(JSON.stringify(value)), JSON.stringify(value, undefined, 4))
  })
}

test('integers beyond 2^53 pass unharmed', () => assert.equal(indentJson('[9223372036854775807]'), '[\n    9223372036854775807\n]'))
