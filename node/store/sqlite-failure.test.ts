import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { EnvironmentFailure, answerOf, answerOfRead } from './sqlite-failure.ts'

const environment =
  'FULL IOERR_WRITE IOERR NOMEM BUSY BUSY_SNAPSHOT CORRUPT CORRUPT_INDEX NOTADB CANTOPEN_ISDIR PROTOCOL READONLY_DBMOVED INTERRUPT'.split(
    ' ',
  )
const answers = 'ERROR CONSTRAINT_UNIQUE MISMATCH TOOBIG RANGE LOCKED CORRUPT_VTAB CORRUPT_SEQUENCE SCHEMA ABORT_ROLLBACK'.split(' ')

for (const code of environment) {
  test(`SQLITE_${code} is the machine's trouble: never a result of a write`, () => {
    assert.throws(() => answerOf(new Database.SqliteError('text', `SQLITE_${code}`)), EnvironmentFailure)
  })
}

for (const code of answers) {
  test(`SQLITE_${code} is an answer, the same on every node`, () => {
    assert.equal(answerOf(new Database.SqliteError('text', `SQLITE_${code}`)), 'text')
    assert.equal(answerOfRead(new Database.SqliteError('text', `SQLITE_${code}`)), 'text')
  })
}

test('a read that ran out of memory or room is told so and ends nothing; a corrupt file still does', () => {
  for (const code of ['NOMEM', 'FULL', 'BUSY']) assert.equal(answerOfRead(new Database.SqliteError('text', `SQLITE_${code}`)), 'text')
  for (const code of ['CORRUPT', 'IOERR_READ', 'NOTADB']) {
    assert.throws(() => answerOfRead(new Database.SqliteError('text', `SQLITE_${code}`)), EnvironmentFailure)
  }
})

test('the refusals of the binding are answers; a bug is neither', () => {
  assert.equal(answerOf(new RangeError('Too few parameter values were provided')), 'Too few parameter values were provided')
  assert.throws(() => answerOf(new Error('a bug')), /a bug/)
})
