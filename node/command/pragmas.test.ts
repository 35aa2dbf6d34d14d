import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeText } from './gate.ts'
import type { GateProblem } from './gate-port.ts'
import { foreignKeysStatement } from './upkeep.ts'

const purposes = ['execute', 'query', 'request'] as const

function problemOf(text: string, purpose: (typeof purposes)[number]): GateProblem {
  const judged = judgeText(text, { for: purpose })
  assert(!judged.ok, `${purpose}: ${text}`)
  return judged.problem
}

test('what programs say to each connection is a read, where it says what is so; never behind EXPLAIN, where SQLite would follow it', () => {
  for (const text of [
    'PRAGMA foreign_keys = ON',
    'pragma main.foreign_keys(0);',
    'PRAGMA "defer_foreign_keys" = yes',
    'PRAGMA legacy_alter_table = OFF',
    'PRAGMA recursive_triggers=0',
    'PRAGMA cache_size = -2000',
    'PRAGMA busy_timeout(5000)',
    "PRAGMA encoding = 'UTF-8'",
  ]) {
    for (const purpose of purposes) {
      const judged = judgeText(text, { for: purpose })
      assert.deepEqual(judged.ok && judged.value.map(({ effect }) => effect), ['read'], text)
      assert.equal(problemOf(`EXPLAIN ${text}`, purpose).message, 'disallowed pragma')
    }
  }
})

test('no client can set the foreign keys of the cluster', () => {
  for (const purpose of purposes) assert.match(problemOf(foreignKeysStatement(true), purpose).message, /pragma|reserved/)
})

test('in a query all tables can be looked at, those of the node and of the schema temp too; elsewhere neither', () => {
  for (const text of ['PRAGMA table_info("_securesql_state")', 'PRAGMA main.index_list(_securesql_state)', 'PRAGMA temp.table_xinfo(t)']) {
    assert(judgeText(text, { for: 'query' }).ok, text)
    for (const purpose of ['execute', 'request'] as const) assert.equal(problemOf(text, purpose).code, 'statement_refused')
  }
  for (const text of [
    'SELECT * FROM _securesql_state',
    "SELECT * FROM pragma_table_info('_securesql_state')",
    'EXPLAIN PRAGMA table_info(_securesql_state)',
  ])
    assert.equal(problemOf(text, 'query').code, 'statement_refused')
})
