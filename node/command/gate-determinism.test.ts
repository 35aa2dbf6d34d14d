// What the gate lets through because every node computes the same, where that is not enough, and what tells of one node alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GateProblem } from './gate-port.ts'
import { judgeText } from './gate.ts'

type Purpose = 'execute' | 'request'

function verdict(text: string, purpose: Purpose): string {
  const judged = judgeText(text, { for: purpose })
  return judged.ok ? judged.value.map((statement) => statement.effect).join(' ') : judged.problem.code
}

function problemOf(text: string, purpose: Purpose): GateProblem {
  const judged = judgeText(text, { for: purpose })
  assert(!judged.ok, `the gate lets through: ${text}`)
  return judged.problem
}

/** They come from the entry, so they may stand where data is changed, but not where SQLite keeps what they gave. */
const changing: readonly string[] = [
  'random()',
  'RANDOM ()',
  '"random"()',
  '[random]/**/()',
  'abs(random())',
  'randomblob(4)',
  'CURRENT_TIMESTAMP',
  'current_date',
  'Current_Time',
  '"current_timestamp"()',
  'date()',
  "date('now')",
  "date('NOW')",
  "datetime('now', '-1 day')",
  "time('now', 'localtime')",
  "datetime('2024-01-01', 'localtime')",
  "datetime('2024-01-01', 'utc')",
  "unixepoch('subsec')",
  "unixepoch('subsecond')",
  'unixepoch()',
  "strftime('%s')",
  "strftime('%s', 'now')",
  "strftime('%s', lower('NOW'))",
  "timediff('now', '2024-01-01')",
  "timediff(lower('a,b'), 'now')",
  'last_insert_rowid()',
  'changes()',
  'total_changes()',
]

const differing: readonly string[] = [
  'sqlite_version()',
  'sqlite_source_id()',
  "sqlite_compileoption_used('x')",
  'sqlite_compileoption_get(1)',
  'sqlite_offset(a)',
  '(SELECT pageno FROM dbstat)',
  "(SELECT 1 FROM 'sqlite_stmt')",
  "(SELECT count(*) FROM bytecode('SELECT 1'))",
  "(1 IN 'pragma_database_list')",
  '(SELECT name FROM pragma_table_list)',
  "(SELECT name FROM pragma_table_info('t'))",
  '(SELECT file FROM pragma_database_list)',
  "(SELECT file FROM 'pragma_database_list')",
  '(SELECT 1 FROM pragma_compile_options)',
  '(SELECT name FROM sqlite_temp_schema)',
  "(SELECT name FROM 'sqlite_temp_master')",
  '(SELECT max(name) FROM temp.sqlite_schema)',
  '(SELECT 1 FROM u, "temp" /**/ . [sqlite_master])',
]

const places: readonly ((expression: string) => string)[] = [
  (expression) => `INSERT INTO t VALUES (${expression})`,
  (expression) => `INSERT INTO t SELECT a FROM u ORDER BY ${expression} LIMIT 1`,
  (expression) => `INSERT INTO t DEFAULT VALUES RETURNING ${expression}`,
  (expression) => `INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = ${expression}`,
  (expression) => `REPLACE INTO t VALUES (${expression})`,
  (expression) => `UPDATE t SET a = ${expression}`,
  (expression) => `UPDATE t SET a = 1 WHERE ${expression} > 5`,
  (expression) => `DELETE FROM t ORDER BY ${expression} LIMIT 1`,
  (expression) => `WITH x AS (SELECT ${expression}) INSERT INTO t SELECT * FROM x`,
  (expression) => `CREATE TABLE t (a DEFAULT (${expression}))`,
  (expression) => `CREATE TABLE t AS SELECT ${expression}`,
  (expression) => `CREATE VIEW v AS SELECT ${expression}`,
  (expression) => `CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; INSERT INTO u VALUES (${expression}); END`,
  (expression) => `CREATE TRIGGER r AFTER INSERT ON t WHEN ${expression} BEGIN SELECT 1; END`,
  (expression) => `ALTER TABLE t ADD COLUMN a DEFAULT (${expression})`,
]

const keeping: typeof places = [
  (expression) => `CREATE TABLE t (a, b AS (${expression}))`,
  (expression) => `CREATE TABLE t (a CHECK (${expression} > 1))`,
  (expression) => `CREATE INDEX i ON t (${expression})`,
  (expression) => `CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a) WHERE ${expression} > 1`,
  (expression) => `create table if not exists "t" (a date(3) default (random()), b INT GENERATED ALWAYS AS (${expression}) STORED)`,
  (expression) => `CREATE TABLE t (a, CONSTRAINT c CHECK (a > 1), CHECK (a IN (1, (${expression}))))`,
  (expression) => `ALTER TABLE t ADD COLUMN a AS (${expression})`,
  (expression) => `ALTER TABLE t ADD a CHECK (a = ${expression})`,
]

for (const expression of changing) {
  test(`the same on every node, but refused where SQLite would keep it: ${expression}`, () => {
    for (const purpose of ['execute', 'request'] as const) {
      for (const place of places) assert.equal(verdict(place(expression), purpose), 'write', place(expression))
      for (const place of keeping) {
        const { code, message } = problemOf(place(expression), purpose)
        assert.equal(code, 'statement_not_deterministic', place(expression))
        assert.match(message, /^non-deterministic use of \w+ in an index, a CHECK constraint or a generated column$/)
      }
    }
  })
}

for (const expression of [
  'date(a)',
  "strftime('%Y', a, '+1 day')",
  "datetime(a, 'unixepoch', 'subsec')",
  "a = 'now'",
  "date(a, lower('x'))",
]) {
  test(`the same whenever it is asked, so it may stand anywhere: ${expression}`, () => {
    for (const place of [...places, ...keeping]) assert.equal(verdict(place(expression), 'execute'), 'write', place(expression))
  })
}

for (const expression of differing) {
  test(`would differ between nodes, so refused wherever data is changed: ${expression}`, () => {
    for (const place of [...places, ...keeping]) {
      for (const purpose of ['execute', 'request'] as const) {
        assert.equal(problemOf(place(expression), purpose).code, 'statement_not_deterministic', place(expression))
      }
    }
  })
}

test('statistics are made of the schema main alone: others are those of one connection, and would hide them', () => {
  for (const text of ['ANALYZE temp', "ANALYZE 'Temp'", 'ANALYZE "temp".x', 'ANALYZE [temp].sqlite_schema'])
    assert.equal(problemOf(text, 'execute').code, 'statement_not_deterministic', text)
  for (const text of [
    'ANALYZE',
    'ANALYZE main',
    'ANALYZE t',
    'SELECT temp.sqlite FROM readings AS temp',
    'UPDATE temp SET temp = temp.temp',
  ])
    assert.notEqual(verdict(text, 'request'), 'statement_not_deterministic', text)
})

test('functions of time within one another are looked through so often only as anybody needs it', () => {
  const nested = (count: number): string => `CREATE TABLE t (a, b CHECK (${'date('.repeat(count)}a${')'.repeat(count)} > '2000'))`
  assert.equal(judgeText(nested(20), { for: 'execute' }).ok, true)
  const judged = judgeText(nested(21), { for: 'execute' })
  assert.ok(!judged.ok && judged.problem.code === 'statement_not_deterministic')
  // Side by side there may be any number of them.
  const beside = `CREATE TABLE t (a, b CHECK (${Array.from({ length: 100 }, () => "date(a) > '2000'").join(' AND ')}))`
  assert.equal(judgeText(beside, { for: 'execute' }).ok, true)
})

// Each of these took minutes, or all of the memory, when what stands behind a word was read again for each of them.
test('what stands within one another thousands of times is read once', () => {
  const hostile = [
    `SELECT ${'sqlite_version('.repeat(100_000)}`,
    `CREATE TABLE t (a CHECK (${'date('.repeat(100_000)}`,
    `CREATE TABLE t (a CHECK (${'random('.repeat(100_000)}`,
    `CREATE INDEX i ON t (${'random('.repeat(100_000)}`,
  ]
  for (const text of hostile) {
    const judged = judgeText(text, { for: 'execute' })
    assert.ok(!judged.ok && judged.problem.code === 'statement_not_deterministic', text.slice(0, 50))
  }
  // SQLite says what is wrong with these.
  for (const text of [`INSERT INTO t ${'INTO t ('.repeat(70_000)}`, `INSERT INTO t ${'INTO t(t) '.repeat(50_000)}`])
    assert.equal(judgeText(text, { for: 'execute' }).ok, true)
})
