// What the gate refuses because it could make nodes differ, or stop, once it is in the log.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GateProblem } from './gate-port.ts'
import { judgeText } from './gate.ts'

const purposes = ['execute', 'query', 'request'] as const

function problemOf(text: string, purpose: (typeof purposes)[number]): GateProblem {
  const judged = judgeText(text, { for: purpose })
  assert(!judged.ok, `the gate lets through: ${text}`)
  return judged.problem
}

const disguises: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.toLowerCase(),
  (text) => `\u{feff}/**/;--\n${text.replaceAll(' ', ' /* c */ ')}`,
  (text) => `SELECT 1;${text}`,
]

const localReads: readonly string[] = [
  "SELECT * FROM pragma_table_info('t')",
  'SELECT name FROM sqlite_schema, pragma_index_list(name)',
  'SELECT * FROM [pragma_database_list]',
  "SELECT * FROM 'pragma_database_list'",
  "SELECT json(file) FROM t JOIN 'pragma_database_list'",
  "SELECT a IN 'pragma_compile_options' FROM t",
  'SELECT * FROM pragma_table_list',
  'WITH x AS (SELECT * FROM "dbstat") SELECT * FROM x',
  'SELECT * FROM sqlite_stmt',
  "SELECT * FROM tables_used('SELECT 1')",
  'EXPLAIN SELECT * FROM pragma_database_list',
]

for (const text of localReads) {
  test(`tells of one node alone, so only a read outside of the log may use it: ${text}`, () => {
    const judged = judgeText(text, { for: 'query' })
    assert.deepEqual(judged.ok && judged.value.map(({ effect }) => effect), ['read'])
    for (const purpose of ['execute', 'request'] as const) {
      assert.equal(problemOf(text, purpose).code, 'statement_not_deterministic')
      assert.equal(problemOf(`${text}; INSERT INTO t VALUES (1)`, purpose).code, 'statement_not_deterministic')
    }
  })
}

/** On which page a table begins differs where one node has had no room for a VACUUM. */
const pageReads: readonly string[] = [
  'SELECT rootpage FROM sqlite_schema',
  'SELECT s.[RootPage] FROM "sqlite_master" AS s',
  'SELECT * FROM sqlite_schema',
  'SELECT 1, * FROM main.sqlite_schema',
  'SELECT s.* FROM t, sqlite_schema AS s',
  "SELECT DISTINCT * FROM 'sqlite_master'",
  'WITH s(a, b, c, d, e) AS (SELECT ALL * FROM sqlite_schema) SELECT d FROM s',
  'SELECT name FROM sqlite_schema NATURAL JOIN pages',
  'SELECT name FROM sqlite_schema JOIN pages USING (rootpage)',
  "SELECT ('table', 't', 't', 4, 'x') IN sqlite_schema",
  "SELECT ('table', 't', 't', 4, 'x') IN main.sqlite_schema",
]

for (const text of pageReads) {
  test(`tells on which page a table begins, so only a read outside of the log may use it: ${text}`, () => {
    assert(judgeText(text, { for: 'query' }).ok)
    for (const whole of [
      text,
      `INSERT INTO u ${text}`,
      `CREATE VIEW v AS ${text}`,
      `CREATE TRIGGER r AFTER INSERT ON t BEGIN ${text}; END`,
    ])
      for (const disguise of disguises) assert.equal(problemOf(disguise(whole), 'request').code, 'statement_not_deterministic', whole)
  })
}

test('whatever else the schema tells is the same on every node', () => {
  for (const text of [
    'SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema',
    'SELECT count(*), 2 * 3 FROM sqlite_master',
    "INSERT INTO t SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')",
    'SELECT * FROM t',
    'SELECT rootpage FROM t',
  ])
    assert(judgeText(text, { for: 'request' }).ok, text)
})

/** Each would make nodes differ, or stop: in a statement of its own, and in the body of a trigger. */
const forbiddenTargets: readonly string[] = [
  'UPDATE sqlite_sequence SET seq = 9223372036854775807',
  'UPDATE OR IGNORE main."SQLite_Sequence" SET seq = 1',
  'INSERT INTO sqlite_sequence VALUES (1, 2)',
  'INSERT OR REPLACE INTO main.[sqlite_sequence] (name, seq) VALUES (1, 2)',
  "REPLACE INTO 'sqlite_sequence' VALUES (1, 2)",
  "UPDATE sqlite_stat1 SET stat = '1 1'",
  'INSERT INTO `sqlite_stat1` VALUES (1, 2, 3)',
  'DELETE FROM "sqlite_stat4"',
  "DELETE FROM 'sqlite_stat1'",
  "INSERT INTO ft (ft, rank) VALUES ('secure-delete', 1)",
  "INSERT INTO main.ft(rank, ft) VALUES ('bm25(9.0)', 'rank')",
  'INSERT INTO \'ft\' ("FT", [Rank]) VALUES (?, ?)',
  "REPLACE INTO ft AS x (`ft`, 'rank') SELECT 'automerge', 4",
  "INSERT INTO ft (ft, rank, a) VALUES ('automerge', 4, NULL)",
  "INSERT INTO ft (ft) VALUES ('automerge=8')",
  "INSERT INTO ft(ft) VALUES ('AutoMerge=8')",
]

for (const text of forbiddenTargets) {
  test(`refused in a statement and in a trigger: ${text}`, () => {
    for (const whole of [text, `WITH x AS (SELECT 1) ${text}`, `CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; ${text}; END`]) {
      for (const disguise of disguises) {
        for (const purpose of purposes) assert.equal(problemOf(disguise(whole), purpose).code, 'statement_refused', whole)
      }
    }
  })
}

for (const text of [
  'SELECT hex(zeroblob(150000000)), hex(zeroblob(150000000))',
  'INSERT INTO t VALUES (ZeroBlob/**/(1e9))',
  'SELECT "randomblob"(16777217)',
  'SELECT zeroblob(0x7fffffff)',
  'SELECT zeroblob(16_777_217)',
  'SELECT zeroblob(9000000), zeroblob(9000000)',
  "SELECT printf('%150000000d', 1)",
  "SELECT format('%-.150000000c', 'x')",
]) {
  test(`makes a value that is too large, refused everywhere: ${text}`, () => {
    for (const disguise of disguises) {
      for (const purpose of purposes.filter((one) => one !== 'query' || text.startsWith('SELECT'))) {
        assert.match(problemOf(disguise(text), purpose).message, /of that size is not allowed/)
      }
    }
    assert(judgeText("SELECT zeroblob(16777000), 'zeroblob(150000000)', printf('%10d %5.2f', 1, 2)", { for: 'query' }).ok)
  })
}
