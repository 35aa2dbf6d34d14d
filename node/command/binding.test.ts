import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { bindParameters, planParameters, type Bound } from './binding.ts'
import type { Parameters, SqlValue } from './command.ts'
import { splitStatements } from './split.ts'

function bind(sql: string, parameters: Parameters): Bound | string {
  const split = splitStatements(sql)
  assert(split.ok && split.value[0] !== undefined)
  const plan = planParameters(split.value[0])
  assert(plan !== undefined)
  const bound = bindParameters(plan, parameters, 0)
  return bound.ok ? bound.value : bound.problem
}

function run(sql: string, parameters: Parameters): unknown {
  const bound = bind(sql, parameters)
  if (typeof bound === 'string') return bound
  const database = new Database(':memory:')
  try {
    return database
      .prepare(sql)
      .raw()
      .get(bound.anonymous, ...(bound.named === undefined ? [] : [bound.named]))
  } finally {
    database.close()
  }
}

const list = (...values: SqlValue[]): Parameters => ({ kind: 'positional', values })
const named = (values: Record<string, SqlValue>): Parameters => ({ kind: 'named', values: new Map(Object.entries(values)) })

for (const [sql, parameters, expected] of [
  ['SELECT ?, ?', list('a', 'b'), ['a', 'b']],
  ['SELECT ?2, ?1', list('a', 'b'), ['b', 'a']],
  ['SELECT ?3', list('a', 'b', 'c'), ['c']],
  ['SELECT :x, ?, :x', list('a', 'b'), ['a', 'b', 'a']],
  ['SELECT ?2, ?', list('a', 'b', 'c'), ['b', 'c']],
  ['SELECT :x, @y, $z', named({ x: 'a', y: 'b', z: 'c' }), ['a', 'b', 'c']],
  ['SELECT :x, @x, $x', named({ x: 'a' }), ['a', 'a', 'a']],
  ['SELECT :missing', named({ x: 'a' }), [null]],
  ['SELECT :__proto__', named(Object.fromEntries([['__proto__', 'p']])), ['p']],
  ['SELECT \'?\', "?" FROM (SELECT 1 AS "?")', list(), ['?', 1]],
  ['SELECT ?', list('a', 'too many'), ['a']],
  ['SELECT ?, ?', list('a'), 'not enough args to execute query: want 2 got 1'],
  ['SELECT :x, @x', list('a', 'b'), 'parameter x is used with two prefixes: give its value by name'],
] as const) {
  test(`${sql} with ${JSON.stringify(parameters.kind === 'named' ? [...parameters.values] : parameters.values)}`, () => {
    assert.deepEqual(run(sql, parameters), expected)
  })
}

test('parameter numbers beyond what SQLite takes make no plan', () => {
  for (const sql of ['SELECT ?32767', 'SELECT ?0', `SELECT ?${'9'.repeat(400)}`]) {
    const split = splitStatements(sql)
    assert(split.ok && split.value[0] !== undefined)
    assert.equal(planParameters(split.value[0]), undefined)
  }
})
