import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatementResult } from '../command/command.ts'
import { pack, unpack } from './packed-results.ts'

const written = (lastInsertId: bigint, rowsAffected: number): StatementResult => ({
  kind: 'written',
  lastInsertId,
  rowsAffected,
  seconds: rowsAffected / 1_000_000,
})
const error: StatementResult = { kind: 'error', message: 'no', seconds: 0.5 }
const rows: StatementResult = { kind: 'rows', columns: [{ name: 'c', declaredType: '' }], rows: [[1n], [null]], seconds: 0 }

for (const [title, results] of [
  ['none', []],
  ['a few', [written(1n, 1), error, rows]],
  ['many', Array.from({ length: 1_000 }, (_, at) => written(BigInt(at), at))],
  ['many, the largest numbers', Array.from({ length: 1_000 }, () => written(-(2n ** 63n), Number.MAX_SAFE_INTEGER))],
  ['many, with rows and errors', Array.from({ length: 1_000 }, (_, at) => [written(2n ** 63n - 1n, at), error, rows][at % 3] ?? error)],
] as const)
  test(`results come over as they were: ${title}`, () => {
    const applied = { index: 7, term: 3, outcome: { results } }
    assert.deepEqual(unpack(structuredClone(pack(applied))), applied)
  })

test('what is no command has no results', () => {
  const applied = { index: 7, term: 3, outcome: undefined }
  assert.deepEqual(unpack(structuredClone(pack(applied))), applied)
})

test('very many results of writes are no objects on their way', () => {
  const results = Array.from({ length: 10_000 }, (_, at) => written(BigInt(at), 1))
  let objects = 0
  JSON.stringify(pack({ index: 1, term: 1, outcome: { results } }), (_, value: unknown) => {
    if (ArrayBuffer.isView(value)) return null
    if (typeof value === 'object') objects += 1
    return typeof value === 'bigint' ? String(value) : value
  })
  assert.ok(objects < 20, `${objects} objects`)
})
