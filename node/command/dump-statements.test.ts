import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dumpStatements, readDump } from './dump-statements.ts'
import { judgeText } from './gate.ts'

function kept(text: string): readonly string[] | string {
  const reading = readDump(text, judgeText)
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
    'PRAGMA writable_schema=RESET; COMMIT',
    'PRAGMA main.writable_schema=ON',
    "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t USING dbstat')",
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

const row = (name: string, definition: string): string =>
  `INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','${name}','${name}',0,'${definition.replaceAll("'", "''")}');`

test('a virtual table as the shell writes it makes a dump one that only a file can be made of', () => {
  const definition = `CREATE VIRTUAL TABLE ft USING fts5(a, tokenize='porter')`
  const text = `BEGIN; PRAGMA writable_schema=ON; ${row('ft', definition)} CREATE TABLE IF NOT EXISTS 'ft_data'(id); PRAGMA writable_schema=OFF; COMMIT;`
  assert.equal(kept(text), 'as-file')
  const kinds = [...dumpStatements([text], judgeText)].map((read) => read?.kind)
  assert.deepEqual(kinds, ['virtual-table', 'statement'])
  // What else would be written into the schema is a statement like any other: the gate refuses it, or SQLite does.
  for (const other of [
    row('ft', 'CREATE TABLE ft (a)'),
    row('other', definition),
    row('ft', `${definition}; SELECT 1`),
    row('ft', definition).replace(",0,'CREATE", ",2,'CREATE"),
    row('ft', definition).replace("'table'", "'view'"),
    "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE ft USING fts5(a)'",
  ]) {
    const [read, second] = dumpStatements([other], judgeText)
    assert(second === undefined && (read?.kind === 'statement' || read?.kind === 'refused'), other)
  }
})

test('a text may be cut anywhere', () => {
  const text = `BEGIN; INSERT INTO t VALUES('a;b''c'); /* ; */ CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT ';'; END; COMMIT`
  for (let at = 1; at < text.length; at += 1) {
    const found = [...dumpStatements([text.slice(0, at), text.slice(at)], judgeText)].flatMap((read) =>
      read?.kind === 'statement' ? [read.piece.sql] : [],
    )
    assert.deepEqual(found, kept(text))
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
