import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resultBytesMax, valueBytesMax } from '../command/result-limits.ts'
import { ResultBudget, rowsTooLarge } from './result-budget.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine, failed, written } from './test-machine.ts'

const mebibyte = 1024 * 1024

async function onStore(body: (world: TestMachine, reader: SqliteReader) => Promise<void>): Promise<void> {
  const world = new TestMachine()
  const reader = new SqliteReader(world.path, { onFatal: () => assert.fail('a read ends nothing') })
  try {
    await body(world, reader)
  } finally {
    reader.close()
    await world.dispose()
  }
}

function query(reader: SqliteReader, ...statements: readonly (readonly [string, ...bigint[]])[]) {
  return reader.query(
    statements.map(([sql, ...values]) => ({ sql, parameters: { kind: 'positional', values } })),
    { transaction: false, appliedIndexMin: 0 },
  )
}

const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT zeroblob(1048576) FROM n'

test('a read whose rows are too large, together or one value alone, is refused while they are fetched', () =>
  onStore(async (_, reader) => {
    for (const statements of [
      [[many, 100_000n]],
      [
        [many, 40n],
        [many, 40n],
      ],
      [['SELECT zeroblob(?)', BigInt(valueBytesMax) + 1n]],
      [['WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n']],
    ] as const) {
      const read = await query(reader, ...statements)
      assert.deepEqual(read, { ok: false, problem: { code: 'result_too_large', message: `${rowsTooLarge}; ask for fewer rows` } })
    }
    const after = await query(reader, [many, 3n], ['SELECT length(zeroblob(?))', BigInt(valueBytesMax) + 1n])
    assert.equal(after.ok && after.value.results.length, 2, 'the connection goes on')
  }))

test('in a command it is an error of that item: the statement was carried out, and nothing else changes', () =>
  onStore(async (world) => {
    await world.run(['CREATE TABLE t (a)'])
    const tooLarge = failed(`${rowsTooLarge}; the statement was carried out`)
    for (const transaction of [false, true]) {
      const before = world.machine.appliedIndex
      const results = await world.run(
        [['INSERT INTO t VALUES (1), (2) RETURNING zeroblob(?)', valueBytesMax + 1], 'UPDATE t SET a = 3', [many, 100], 'DELETE FROM t'],
        { kind: 'request', transaction },
      )
      assert.deepEqual(results.slice(0, 3), [tooLarge, written(2, 2), tooLarge], String(before))
      assert.deepEqual(results[3], written(2, 2))
    }
    assert.deepEqual(world.fatal, [])
  }))

test('each entry of a group has its own limit, and all together one of four', () => {
  const budget = new ResultBudget()
  const fits = (): number => {
    let rows = 0
    while (budget.take([new Uint8Array(8 * mebibyte)])) rows += 1
    return rows
  }
  const counts = Array.from({ length: 6 }, () => {
    budget.nextEntry()
    return fits()
  })
  const each = Math.floor(resultBytesMax / (8 * mebibyte)) - 1
  assert.deepEqual(counts, [each, each, each, each, 3, 0])
})
