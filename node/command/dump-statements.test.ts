import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDump } from './dump-statements.ts'
import { judgeText } from './gate.ts'

function kept(text: string): readonly string[] | string {
  const reading = readDump(text, (sql) => judgeText(sql, { for: 'execute' }))
  for (;;) {
    const step = reading.next()
    if (step.done === true) return step.value.ok ? step.value.value : step.value.problem.code
  }
}

test('a dump of the sqlite3 shell is taken without its borders, its statistics and what they stand for', () => {
  const text = `PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT);
INSERT INTO t VALUES(1,'a;b
c');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('t',1);
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 VALUES('t',NULL,'1');
CREATE INDEX i ON t(x);
COMMIT;
`
  assert.deepEqual(kept(text), [
    'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT)',
    "INSERT INTO t VALUES(1,'a;b\nc')",
    'DELETE FROM sqlite_sequence',
    "INSERT INTO sqlite_sequence VALUES('t',1)",
    'CREATE INDEX i ON t(x)',
  ])
})

test('without borders, and with nothing in it, a text is taken as it is', () => {
  assert.deepEqual(kept('INSERT INTO t VALUES (1)'), ['INSERT INTO t VALUES (1)'])
  assert.deepEqual(kept(' -- nothing\n;'), [])
  assert.deepEqual(kept('BEGIN; COMMIT;'), [])
})

test('what only looks like the parts of a dump is left to the gate', () => {
  for (const text of [
    'INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2)',
    'INSERT INTO t VALUES (1); BEGIN',
    'BEGIN; ROLLBACK',
    'SAVEPOINT a; RELEASE a',
    'PRAGMA writable_schema=ON; COMMIT',
    'PRAGMA foreign_keys=OFF, x; COMMIT',
    "INSERT INTO sqlite_sequence VALUES('t',9223372036854775807)",
    "INSERT INTO sqlite_sequence VALUES('t',-5)",
    "INSERT INTO sqlite_sequence VALUES('t',(SELECT 1))",
    "INSERT INTO sqlite_sequence SELECT 't', 9223372036854775807",
    'INSERT INTO _securesql_state VALUES (1)',
    "ATTACH 'x' AS y",
  ]) {
    assert.equal(kept(text), 'statement_refused', text)
  }
})

test('a text of many steps is read as a whole one is, wherever a step ends', () => {
  const trigger = "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u VALUES (';'); SELECT 1; END"
  const long = `INSERT INTO t VALUES('${'x;'.repeat(20_000)}')`
  const statements: string[] = []
  for (let count = 0; count < 700; count += 1)
    statements.push(
      `INSERT INTO t VALUES(${count},'it''s; -- no comment ${'y'.repeat(count % 97)}',x'00ff')`,
      `/* ; '" */ DELETE FROM t -- ; '\n WHERE a = "b;c"`,
    )
  statements.splice(500, 0, trigger, long)
  assert.deepEqual(
    kept(`BEGIN;\n${statements.join(";\n-- it's ; between\n")};\nCOMMIT;\n-- the end`),
    statements.map((sql) => sql.replace(/^\/\*.*?\*\/ /, '')),
  )
  assert.equal(kept(`${statements.join(';')}; INSERT INTO t VALUES('never closed`), 'statement_refused')
  assert.equal(kept(`${statements.join(';')}; COMMIT; SELECT 1`), 'statement_refused')
})
