import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { integrityFaults } from './integrity.ts'
import { complaining } from './test-full-text.ts'

const depths = ['integrity_check', 'quick_check'] as const

function faultsBehind(statements: readonly string[]): readonly (readonly string[])[] {
  const database = new Database(':memory:')
  try {
    database.unsafeMode(true)
    for (const sql of statements) database.exec(sql)
    return depths.map((depth) => integrityFaults(database, depth))
  } finally {
    database.close()
  }
}

for (const [name, statements] of Object.entries(complaining))
  test(`what clients can do to a full-text table is no damage, or every node would be found damaged: ${name}`, () => {
    assert.deepEqual(faultsBehind(statements), [[], []])
  })

/** The schema says afterwards what its rows do not keep. */
const changed = (name: string, sql: string): readonly string[] => [
  'CREATE TABLE t (a, b)',
  'CREATE INDEX i ON t (a)',
  'INSERT INTO t VALUES (NULL, 1)',
  `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '${sql}' WHERE name = '${name}'; PRAGMA writable_schema = RESET`,
]

test('rows that break a constraint are no damage, an index that does not fit to its table is', () => {
  assert.deepEqual(faultsBehind(changed('t', 'CREATE TABLE t (a NOT NULL, b)')), [[], []])
  const [compared = [], quick] = faultsBehind([
    ...complaining['texts were added behind its back'],
    ...changed('i', 'CREATE INDEX i ON t (b)'),
  ])
  assert.match(compared.join(), /missing from index i/)
  assert.deepEqual(quick, [])
})
