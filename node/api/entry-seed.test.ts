import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seedBytes } from '../command/entry-moment.ts'
import { drawSeed } from './entry-seed.ts'

test('no two seeds are alike, and none changes when others are drawn', () => {
  const seeds = Array.from({ length: 1_000 }, drawSeed)
  const texts = seeds.map((seed) => Buffer.from(seed).toString('hex'))
  assert.equal(new Set(texts).size, 1_000)
  assert(seeds.every((seed) => seed.length === seedBytes && seed.some((byte) => byte !== 0)))
})
