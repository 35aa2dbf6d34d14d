import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import type { GateProblem } from './gate-port.ts'
import { judgeText } from './gate.ts'

type Purpose = 'execute' | 'query' | 'request'
const purposes: readonly Purpose[] = ['execute', 'query', 'request']

function verdict(text: string, purpose: Purpose): string {
  const judged = judgeText(text, { for: purpose })
  return judged.ok ? judged.value.map((statement) => statement.effect).join(' ') : judged.problem.code
}

function problemOf(text: string, purpose: Purpose = 'execute'): GateProblem {
  const judged = judgeText(text, { for: purpose })
  assert(!judged.ok, `the gate lets through: ${text}`)
  return judged.problem
}

/** Refused whatever the endpoint, in every disguise. */
const neverAllowed: readonly string[] = [
  "ATTACH DATABASE '/tmp/x' AS x",
  "ATTACH '/tmp/x' AS x",
  'DETACH x',
  'DETACH DATABASE x',
  "VACUUM INTO '/tmp/x'",
  "VACUUM main INTO '/tmp/x'",
  "VACUUM 'main' INTO '/tmp/x'",
  'VACUUM INTO ?',
  "VACUUM INTO('/tmp/' || 'x')",
  'VACUUM main x',
  'VACUUM main.t',
  'BEGIN',
  'BEGIN IMMEDIATE',
  'COMMIT',
  'END',
  'END TRANSACTION',
  'ROLLBACK',
  'ROLLBACK TO s',
  'SAVEPOINT s',
  'RELEASE s',
  "SELECT load_extension('x')",
  "SELECT load_extension ( 'x' , 'y')",
  'SELECT "load_extension"(\'x\')',
  "SELECT [load_extension]('x')",
  "SELECT `Load_Extension`/**/('x')",
  "SELECT fts3_tokenizer('simple')",
  "SELECT fts3_tokenizer('simple', x'00')",
  "SELECT writefile('/tmp/x', 'y')",
  "SELECT readfile('/etc/passwd')",
  "SELECT edit('x')",
  'CREATE TEMP TABLE t (a)',
  'CREATE TEMPORARY VIEW v AS SELECT 1',
  'CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END',
  'CREATE TABLE temp.t (a)',
  'CREATE TABLE IF NOT EXISTS "temp".t (a)',
  'CREATE TABLE [temp] . t (a)',
  'CREATE VIEW temp.v AS SELECT 1',
  'CREATE TRIGGER temp.r AFTER INSERT ON t BEGIN SELECT 1; END',
  "CREATE TABLE 'temp'.t (a)",
  'CREATE TABLE other.t (a)',
  'CREATE VIRTUAL TABLE v USING dbstat',
  "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')",
  'CREATE VIRTUAL TABLE v USING fts3tokenize',
  'CREATE VIRTUAL TABLE IF NOT EXISTS temp.v USING fts5(a)',
  'CREATE VIRTUAL TABLE v',
  'CREATE USER x',
  'SELECT * FROM _securesql_state',
  'SELECT * FROM main._securesql_state',
  'SELECT * FROM "_SecureSQL_state"',
  'SELECT * FROM [_securesql_state]',
  'SELECT * FROM `_securesql_state`',
  "SELECT * FROM '_securesql_state'",
  'UPDATE _securesql_state SET applied_index = 0',
  'UPDATE OR REPLACE "_securesql_state" SET applied_index = 0',
  'DELETE FROM _securesql_state',
  'INSERT INTO _securesql_state VALUES (1)',
  'DROP TABLE _securesql_state',
  'ALTER TABLE _securesql_state RENAME TO x',
  'ALTER TABLE t RENAME TO _securesql_x',
  'CREATE TABLE _securesql_mine (a)',
  'CREATE INDEX i ON _securesql_state (id)',
  'CREATE TRIGGER r AFTER UPDATE ON _securesql_state BEGIN SELECT 1; END',
  'CREATE VIEW v AS SELECT * FROM _securesql_state',
  "CREATE VIRTUAL TABLE v USING fts5(a, content='_securesql_state')",
  'CREATE VIRTUAL TABLE v USING fts4(content="_securesql_state", a)',
  'CREATE VIRTUAL TABLE v USING fts4(content=_securesql_state, a)',
  'REINDEX _securesql_state',
  // Its own tables would be called _securesql_data and so on.
  'CREATE VIRTUAL TABLE "_SecureSQL" USING fts5(a)',
  'CREATE VIRTUAL TABLE main._securesql USING rtree(id, a, b)',
  'ALTER TABLE words RENAME TO _securesql',
  'ANALYZE _securesql_state',
  'WITH x AS (SELECT * FROM _securesql_state) SELECT * FROM x',
  'RANDOM WORDS',
  '1',
  '(SELECT 1)',
  '"SELECT" 1',
  'EXPLAIN EXPLAIN SELECT 1',
  'SELECT \u0000',
  "SELECT 'open",
  'SELECT {',
]

const disallowedPragmas: readonly string[] = [
  'PRAGMA journal_mode = DELETE',
  'PRAGMA journal_mode(off)',
  'PRAGMA main.journal_mode = wal',
  'PRAGMA synchronous = OFF',
  'PRAGMA wal_checkpoint',
  'PRAGMA wal_checkpoint(TRUNCATE)',
  'PRAGMA wal_autocheckpoint = 0',
  'PRAGMA wal_autocheckpoint',
  'PRAGMA query_only = 0',
  'PRAGMA writable_schema = ON',
  'PRAGMA writable_schema',
  'PRAGMA writable_schema = RESET',
  'PRAGMA foreign_keys = maybe',
  'PRAGMA foreign_keys = ON, x',
  'PRAGMA temp.foreign_keys = ON',
  'PRAGMA encoding = UTF16',
  'PRAGMA recursive_triggers = 1',
  'PRAGMA locking_mode = EXCLUSIVE',
  'PRAGMA mmap_size = 1',
  'PRAGMA max_page_count = 1',
  'PRAGMA page_size = 512',
  'PRAGMA encoding = "UTF-16"',
  'PRAGMA auto_vacuum = 1',
  'PRAGMA incremental_vacuum',
  'PRAGMA shrink_memory',
  'PRAGMA temp_store_directory = "/tmp"',
  'PRAGMA temp.schema_version',
  'PRAGMA other.table_info(x)',
  'PRAGMA schema_version = 7',
  'PRAGMA case_sensitive_like = 1',
  'PRAGMA trusted_schema = 0',
  'PRAGMA ignore_check_constraints = 1',
  'PRAGMA legacy_alter_table = ON',
  'PRAGMA hard_heap_limit = 1',
  'PRAGMA no_such_pragma',
  "PRAGMA 'journal_mode' = delete",
  'PRAGMA "journal_mode" = delete',
  'PRAGMA',
  'SELECT * FROM pragma_wal_checkpoint',
  "SELECT * FROM pragma_journal_mode('delete')".replace('journal_mode', 'wal_checkpoint'),
  'SELECT * FROM "pragma_optimize"',
  "SELECT * FROM 'pragma_incremental_vacuum'",
]

/** What a client might put in front so that a simple check looks away. */
const disguises: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.toLowerCase(),
  (text) => `\u{feff}${text}`,
  (text) => ` \t\r\n\f${text}`,
  (text) => `/* c */${text}`,
  (text) => `-- c\n${text}`,
  (text) => `;;${text}`,
  (text) => `/**/;--\n;\u{feff}${text}`,
  (text) => `SELECT 1;${text}`,
  (text) => `${text};SELECT 1`,
  (text) => `EXPLAIN ${text}`,
  (text) => `EXPLAIN QUERY PLAN ${text}`,
  (text) => `explain/**/query--\nplan ${text}`,
]

for (const text of neverAllowed) {
  test(`refused at every endpoint and in every disguise: ${JSON.stringify(text)}`, () => {
    for (const disguise of disguises)
      for (const purpose of purposes) assert.equal(problemOf(disguise(text), purpose).code, 'statement_refused')
  })
}

for (const text of disallowedPragmas) {
  test(`refused with rqlite's words at every endpoint and in every disguise: ${text}`, () => {
    for (const disguise of disguises) {
      for (const purpose of purposes) {
        assert.deepEqual(problemOf(disguise(text), purpose), { code: 'statement_refused', message: 'disallowed pragma' })
      }
    }
  })
}

const readTexts: readonly string[] = [
  'SELECT 1',
  'VALUES (1), (2)',
  'WITH x AS (SELECT 1) SELECT * FROM x',
  'WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 5), y AS NOT MATERIALIZED (VALUES (1)) SELECT * FROM x, y',
  'WITH replace AS (SELECT 1) SELECT * FROM replace',
  'EXPLAIN SELECT 1',
  'EXPLAIN QUERY PLAN DELETE FROM t',
  'EXPLAIN INSERT INTO t VALUES (random())',
  'PRAGMA table_info(t)',
  'PRAGMA table_info = t',
  "PRAGMA main.table_info('t')",
  'PRAGMA index_list("t")',
  'PRAGMA foreign_key_list(t)',
  'PRAGMA database_list',
  'PRAGMA user_version',
  'PRAGMA journal_mode',
  'PRAGMA foreign_keys',
  'PRAGMA quick_check(1)',
  'EXPLAIN PRAGMA table_info(t)',
  "SELECT random(), randomblob(4), datetime('now'), CURRENT_TIMESTAMP, last_insert_rowid(), changes() ORDER BY random()",
  'SELECT \'ATTACH\', "BEGIN", [COMMIT] FROM t -- PRAGMA journal_mode = off',
  "SELECT 'a _securesql_ b'",
  'SELECT "end" FROM t AS temp WHERE temp.a = 1',
]

for (const text of readTexts) {
  test(`a read, allowed everywhere: ${text}`, () => {
    for (const purpose of purposes) assert.equal(verdict(text, purpose), 'read')
  })
}

const writeTexts: readonly string[] = [
  'INSERT INTO t VALUES (1) RETURNING *',
  'INSERT OR ROLLBACK INTO t VALUES (1)',
  'REPLACE INTO t VALUES (1)',
  'UPDATE t SET a = 1 WHERE b = ?',
  'DELETE FROM t',
  'WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x',
  'WITH x(a) AS (SELECT (1)), y AS (SELECT 2) UPDATE t SET a = (SELECT a FROM x)',
  'WITH x AS (SELECT 1) DELETE FROM t WHERE a IN x',
  'WITH select_ AS (SELECT 1) REPLACE INTO t SELECT * FROM select_',
  "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT DEFAULT (lower('X')), c AS (a + 1) STORED) STRICT",
  'CREATE TABLE IF NOT EXISTS main.t (a)',
  'CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a)',
  'CREATE VIEW v AS SELECT 1',
  'CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = 1; DELETE FROM t; END',
  'CREATE VIRTUAL TABLE v USING fts5(a, tokenize = "porter ascii")',
  'CREATE VIRTUAL TABLE IF NOT EXISTS main.v USING FTS4(a)',
  'CREATE VIRTUAL TABLE v USING rtree(id, a, b)',
  'CREATE VIRTUAL TABLE v USING geopoly()',
  'DROP TABLE IF EXISTS t',
  'ALTER TABLE t ADD COLUMN x DEFAULT 5',
  'ALTER TABLE t RENAME COLUMN a TO random',
  'REINDEX',
  'PRAGMA user_version = 5',
  'PRAGMA main.application_id = 7',
  'ANALYZE',
  'ANALYZE main.t',
  'PRAGMA optimize',
  'PRAGMA main.optimize(0x10002)',
  "INSERT INTO t VALUES (date('2024-01-01'), strftime('%Y', '2024-01-01', '+1 day'), julianday(2460000.5), unixepoch('1970-01-01', 'auto'))",
  'INSERT INTO "t" ("random", [date], `now`) VALUES (1, 2, 3)',
  "INSERT INTO t VALUES ('random()', 'now')",
  "INSERT INTO t VALUES ('pragma_once', 'dbstat', 'sqlite_sequence')",
  "UPDATE t SET a = 'pragma_database_list' WHERE b = 'sqlite_stmt'",
  'INSERT INTO bytecode VALUES (1)',
  'DELETE FROM sqlite_sequence WHERE name = ?',
  'INSERT INTO t SELECT seq FROM sqlite_sequence',
  "INSERT INTO ft (ft) VALUES ('rebuild')",
  "INSERT INTO ft (ft) VALUES ('optimize')",
  "INSERT INTO ft (ft) VALUES ('integrity-check')",
  "INSERT INTO ft (ft, rowid, a, b) VALUES ('delete', ?, ?, ?)",
  'INSERT INTO tag (tag) VALUES (?)',
  'INSERT INTO score (player, rank) VALUES (?, ?)',
  'INSERT INTO t (date, time) VALUES (?, ?)',
]

for (const text of writeTexts) {
  test(`a write, allowed where writing is: ${text}`, () => {
    assert.equal(verdict(text, 'execute'), 'write')
    assert.equal(verdict(text, 'request'), 'write')
    assert.equal(verdict(text, 'query'), 'statement_refused')
  })
}

test('one bad statement refuses the whole text, and the message never holds the text', () => {
  const secret = 'hunter2'
  const problem = problemOf(`INSERT INTO t VALUES ('${secret}'); BEGIN; INSERT INTO t VALUES (1)`)
  assert.equal(problem.code, 'statement_refused')
  assert.match(problem.message, /^BEGIN is not allowed/)
  assert(!problem.message.includes(secret))
})

test('what needs an entry of its own stands alone in its text', () => {
  for (const [text, word] of [
    ['ANALYZE; INSERT INTO t VALUES (1)', 'ANALYZE'],
    ['SELECT 1; /**/analyze t', 'ANALYZE'],
    ['ANALYZE; ANALYZE', 'ANALYZE'],
    ['SELECT 1;PRAGMA main.optimize', 'PRAGMA'],
    ['VACUUM; SELECT 1', 'VACUUM'],
    ['SELECT 1;/**/vacuum main', 'VACUUM'],
  ] as const) {
    for (const purpose of ['execute', 'request'] as const)
      assert.deepEqual(problemOf(text, purpose), {
        code: 'statement_refused',
        message: `${word} must be the only statement of its request`,
      })
  }
  for (const text of [
    'ANALYZE;',
    ';-- x\nanalyze',
    'EXPLAIN ANALYZE; SELECT 1',
    'vacuum;',
    "VACUUM 'main'",
    'VACUUM "into"',
    'EXPLAIN VACUUM',
  ])
    assert(judgeText(text, { for: 'execute' }).ok, text)
})

test('VACUUM writes: it is no query', () => {
  assert.deepEqual(problemOf('VACUUM', 'query'), { code: 'statement_refused', message: 'VACUUM changes data: a query only reads' })
})

test('a text of several statements is judged one by one, in order, without the semicolons', () => {
  const judged = judgeText('INSERT INTO t VALUES (1); SELECT 1 ;', { for: 'request' })
  assert.deepEqual(judged, {
    ok: true,
    value: [
      { sql: 'INSERT INTO t VALUES (1)', effect: 'write' },
      { sql: 'SELECT 1 ', effect: 'read' },
    ],
  })
  assert.deepEqual(judgeText(' -- nothing\n;', { for: 'execute' }), { ok: true, value: [] })
})

test('whatever is put together from dangerous parts, what the gate calls a query changes nothing and opens nothing', () => {
  const part = fc.constantFrom(
    'SELECT', 'INSERT INTO t', 'VALUES (1)', 'DELETE FROM t', 'WITH x AS (SELECT 1)', 'EXPLAIN', 'PRAGMA', 'user_version', '= 5', 'ATTACH', "':memory:' AS x",
    'BEGIN', 'COMMIT', 'DROP TABLE t', 'CREATE TABLE u (a)', '* FROM t', '1', ';', '/*', '*/', '--', '\n', "'", '"', '(', ')', ',', 'RETURNING a', 'ANALYZE', 'REINDEX',
  ) // prettier-ignore
  const database = new Database(':memory:')
  database.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
  const state = (): unknown => [
    database.inTransaction,
    database.pragma('database_list'),
    database.pragma('user_version'),
    database.pragma('schema_version'),
    database.prepare('SELECT total_changes(), (SELECT count(*) FROM t)').raw().get(),
  ]
  const before = state()
  let ran = 0
  fc.assert(
    fc.property(fc.array(part, { maxLength: 7 }), (parts) => {
      const judged = judgeText(parts.join(' '), { for: 'query' })
      if (!judged.ok) return
      for (const { sql } of judged.value) {
        try {
          const statement = database.prepare(sql)
          if (statement.reader) statement.all()
          else statement.run()
          ran += 1
        } catch (error) {
          if (!(error instanceof Database.SqliteError) && !(error instanceof RangeError)) throw error
        }
      }
      assert.deepEqual(state(), before, parts.join(' '))
    }),
    { numRuns: 20_000 },
  )
  assert(ran > 100, `only ${ran} statements ran`)
  database.close()
})

test('a text of more tokens than can be judged in a moment is refused; long values are no such tokens', () => {
  const judged = judgeText(`INSERT INTO t VALUES (1)${',(1)'.repeat(100_000)}`, { for: 'execute' })
  assert(!judged.ok && /more than 300000 words/.test(judged.problem.message))
  assert(judgeText(`INSERT INTO t VALUES (x'${'00'.repeat(4_000_000)}')`, { for: 'execute' }).ok)
})
