import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { mutations } from './catalogue.ts'

test('every mutation fits the code: what it replaces stands there exactly once', () => {
  const root = new URL('../../../', import.meta.url)
  const unfit = mutations
    .filter(({ file, find, replace }) => readFileSync(new URL(file, root), 'utf8').split(find).length !== 2 || find === replace)
    .map(({ hazard, text }) => `${hazard} ${text}`)
  assert.deepEqual(unfit, [])
})

test('no two mutations have the same name', () => {
  const names = mutations.map(({ hazard, text }) => `${hazard} ${text}`)
  assert.deepEqual(names.length, new Set(names).size)
})
