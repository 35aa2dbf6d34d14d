import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as assertProperty, nat, property } from 'fast-check'
import { compareQuantities, quantityInNanos } from './quantity.ts'

test('the same amount in different spellings compares equal', () => {
  for (const [left, right] of [
    ['1Gi', '1024Mi'],
    ['1G', '1000M'],
    ['1', '1000m'],
    ['1.5Gi', '1536Mi'],
    ['1e3', '1k'],
    ['1E', '1000P'],
    ['.5', '500m'],
    ['12e-1', '1.2'],
  ] as const)
    assert.equal(compareQuantities(left, right), 0, `${left} ${right}`)
})

test('a decimal and a binary giga are told apart', () => {
  assert.equal(compareQuantities('1G', '1Gi'), -1)
  assert.equal(compareQuantities('2G', '1Gi'), 1)
})

test('what is not a quantity has no value', () => {
  for (const text of ['', 'Gi', '1 Gi', '1gb', '-1', '1Gi2', '0x10', '1e999', 'NaN']) assert.equal(quantityInNanos(text), undefined, text)
})

test('whole numbers compare as numbers do', () => {
  assertProperty(
    property(nat(1e9), nat(1e9), (a, b) => {
      assert.equal(compareQuantities(String(a), String(b)), Math.sign(a - b))
    }),
  )
})
