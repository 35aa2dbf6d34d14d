import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { splitStatements } from './split.ts'

function pieces(text: string): readonly string[] {
  const split = splitStatements(text)
  assert(split.ok)
  return split.value.map((piece) => piece.sql)
}

const trigger = "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO u VALUES (CASE WHEN 1 THEN 2 ELSE 3 END); SELECT 'END;'; END"

for (const [text, expected] of [
  ['', []],
  [' ;; -- nothing\n /* ; */ ', []],
  ['SELECT 1', ['SELECT 1']],
  ['SELECT 1;', ['SELECT 1']],
  [';SELECT 1;;SELECT 2', ['SELECT 1', 'SELECT 2']],
  ['SELECT \';\' ; SELECT "a;b", [c;d], `e;f` -- ;\n', ["SELECT ';' ", 'SELECT "a;b", [c;d], `e;f` -- ;\n']],
  ['/* ; */ SELECT 1 /* ; */; SELECT 2', ['SELECT 1 /* ; */', 'SELECT 2']],
  [`${trigger}; SELECT 1`, [trigger, 'SELECT 1']],
  [`${trigger};`, [trigger]],
  [trigger, [trigger]],
  [`EXPLAIN ${trigger}; SELECT 1`, [`EXPLAIN ${trigger}`, 'SELECT 1']],
  [`EXPLAIN QUERY PLAN ${trigger}; SELECT 1`, [`EXPLAIN QUERY PLAN ${trigger}`, 'SELECT 1']],
  [
    'CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END; SELECT 1',
    ['CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END', 'SELECT 1'],
  ],
  ['CREATE TABLE trigger_log (a); SELECT 1', ['CREATE TABLE trigger_log (a)', 'SELECT 1']],
] as const) {
  test(`${JSON.stringify(text)} is ${expected.length} statements`, () => {
    assert.deepEqual(pieces(text), expected)
  })
}

test('a whole schema with triggers, split and run piece by piece, is what SQLite makes of the whole text', () => {
  const text = `
    CREATE TABLE t (a); -- one;
    CREATE TABLE u (a);
    CREATE TRIGGER r AFTER INSERT ON t WHEN new.a > CASE 1 WHEN 1 THEN 0 END BEGIN
      INSERT INTO u VALUES (new.a); /* ; END; */
      UPDATE u SET a = CASE WHEN a > 1 THEN a ELSE 0 END;
    END;
    INSERT INTO t VALUES (1), (2);
    CREATE VIEW v AS SELECT ';' AS s;`
  const whole = new Database(':memory:')
  whole.exec(text)
  const parts = new Database(':memory:')
  for (const piece of pieces(text)) parts.prepare(piece).run()
  const dump = 'SELECT sql FROM sqlite_schema UNION ALL SELECT a FROM u ORDER BY 1'
  assert.deepEqual(parts.prepare(dump).all(), whole.prepare(dump).all())
  whole.close()
  parts.close()
})

test('tokens of a piece are counted from its own start', () => {
  const split = splitStatements('SELECT 1; SELECT a')
  assert(split.ok)
  const second = split.value[1]!
  assert.deepEqual(
    second.tokens.map((token) => second.sql.slice(token.start, token.end)),
    ['SELECT', 'a'],
  )
})
