import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { costOfStatement } from './bounded-program.ts'

const schema = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, n UNIQUE, s TEXT, i INTEGER);
  CREATE INDEX ti ON t (i);
  CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, n);
  CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
  CREATE TABLE c (n CHECK (n > 0 AND length(n) < 9), g AS (n + 1), d DEFAULT (abs(-1)));
  CREATE TABLE grown (n, g AS (n || 'x') STORED);
  CREATE TABLE watched (n);
  CREATE TABLE copied (n);
  CREATE TRIGGER watch AFTER INSERT ON watched BEGIN UPDATE t SET i = i + 1 WHERE i > 5; END;
  CREATE TRIGGER copy AFTER INSERT ON copied BEGIN INSERT INTO w VALUES (new.n, 1); UPDATE t SET s = 'x' WHERE id = new.n; END;
  CREATE VIRTUAL TABLE f USING fts5(s);
  CREATE VIEW v AS SELECT id, n FROM t;
`

function withSchema(body: (cost: (sql: string) => number, database: Database.Database) => void): void {
  const database = new Database(':memory:')
  try {
    database.exec(schema)
    body((sql) => costOfStatement(database, () => database.prepare(sql)), database)
  } finally {
    database.close()
  }
}

test('a statement on rows that its keys name is bounded', () => {
  withSchema((cost) => {
    for (const sql of [
      'INSERT INTO t (n, s) VALUES (?, ?)',
      'INSERT INTO t (n, s) VALUES (?, ?) RETURNING *',
      'INSERT OR REPLACE INTO t VALUES (?, ?, ?, ?)',
      'INSERT INTO t (n, s) VALUES (?, ?) ON CONFLICT (n) DO UPDATE SET s = excluded.s, i = i + 1',
      'INSERT OR IGNORE INTO t (n) VALUES (1)',
      'INSERT INTO t (n) VALUES (1), (2), (3)',
      'INSERT INTO t (n) VALUES (1), (2), (3) RETURNING id',
      'INSERT INTO t DEFAULT VALUES',
      'INSERT INTO t (n) SELECT 1 WHERE 1 > 0',
      'INSERT INTO a (n) VALUES (?)',
      'INSERT INTO a (n) VALUES (?), (?)',
      'INSERT INTO w VALUES (?, ?)',
      'INSERT INTO c (n) VALUES (?)',
      'INSERT INTO copied VALUES (?)',
      'INSERT INTO t (s) VALUES (lower(?) )',
      'UPDATE t SET s = ? WHERE id = ?',
      'UPDATE t SET i = i + 1 WHERE n = ? RETURNING i',
      'UPDATE w SET v = v + 1 WHERE k = ?',
      'DELETE FROM t WHERE id = ?',
      'DELETE FROM w WHERE k = ? RETURNING v',
      'SELECT * FROM t WHERE id = ?',
      'SELECT s FROM t WHERE n = ?',
      'SELECT n FROM v WHERE id = ?',
      'SELECT 1 + 1',
    ])
      assert(cost(sql) > 0 && cost(sql) < 2_000, `${sql}: ${cost(sql)}`)
  })
})

test('what may look at any number of rows, or make any amount of data, is not', () => {
  withSchema((cost) => {
    for (const sql of [
      'SELECT * FROM t',
      'SELECT count(*) FROM t',
      'SELECT max(s) FROM t',
      'SELECT * FROM t WHERE i = ?',
      'SELECT * FROM t WHERE id > ?',
      'SELECT * FROM t WHERE id IN (1, 2)',
      'SELECT * FROM t WHERE id = ? OR n = ?',
      'SELECT * FROM t ORDER BY s',
      'SELECT * FROM t AS x, t AS y WHERE x.id = 1',
      'SELECT (SELECT count(*) FROM t)',
      'UPDATE t SET s = ?',
      'UPDATE t SET s = ? WHERE i = ?',
      'UPDATE t SET s = s || s WHERE id = ?',
      'UPDATE t SET s = replace(s, ?, ?) WHERE id = ?',
      "UPDATE t SET s = printf('%1000000d', 1) WHERE id = ?",
      'UPDATE t SET s = zeroblob(?) WHERE id = ?',
      'UPDATE t SET s = hex(s) WHERE id = ?',
      'DELETE FROM t',
      'DELETE FROM t WHERE s LIKE ?',
      'DELETE FROM w WHERE v = 1',
      'INSERT INTO t (n) SELECT n FROM t',
      'INSERT INTO t (n) SELECT id FROM a WHERE id = 1 UNION ALL SELECT id FROM a',
      'INSERT INTO t (n) VALUES ((SELECT max(n) + 1 FROM a))',
      'INSERT INTO grown (n) VALUES (?)',
      'INSERT INTO watched VALUES (?)',
      'INSERT INTO f VALUES (?)',
      "SELECT * FROM f WHERE f MATCH 'x'",
      'SELECT value FROM json_each(?)',
      "INSERT INTO t (s) VALUES (json_extract(?, '$.a'))",
      'WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r) INSERT INTO t (n) SELECT n FROM r LIMIT 10',
      'WITH r(n) AS (VALUES (1), (2)) INSERT INTO t (n) SELECT x.n FROM r AS x, r AS y, r AS z',
      'DROP TABLE t',
      'CREATE INDEX more ON t (s)',
      'CREATE TABLE copy_of AS SELECT * FROM t',
      'ALTER TABLE t ADD COLUMN z',
      'REINDEX',
      'ANALYZE',
      "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'a'",
    ])
      assert.equal(cost(sql), Infinity, sql)
  })
})

test('many rows written out cost what they are, and a text that SQLite refuses costs nothing', () => {
  withSchema((cost) => {
    const many = (rows: number): string => `INSERT INTO t (n) VALUES ${Array(rows).fill('(?)').join(', ')}`
    assert(cost(many(10)) < 600, String(cost(many(10))))
    assert(cost(many(1_000)) > 10_000 && cost(many(1_000)) < 100_000, String(cost(many(1_000))))
    assert.equal(cost('INSERT INTO nowhere VALUES (1)'), 0)
    assert.equal(cost('nonsense'), 0)
  })
})

test('triggers that call triggers count as often as they may run', () => {
  withSchema((cost, database) => {
    for (let n = 1; n <= 12; n += 1) database.exec(`CREATE TABLE chain_${n} (n)`)
    for (let n = 1; n < 12; n += 1)
      database.exec(`CREATE TRIGGER call_${n} AFTER INSERT ON chain_${n} BEGIN
        INSERT INTO chain_${n + 1} VALUES (1); INSERT INTO chain_${n + 1} VALUES (2); END`)
    assert(cost('INSERT INTO chain_11 VALUES (1)') < 500)
    assert.equal(cost('INSERT INTO chain_1 VALUES (1)'), Infinity)
  })
})

test('an AUTOINCREMENT table is not bounded where sqlite_sequence is long, or is written by a trigger', () => {
  withSchema((cost, database) => {
    assert(cost('INSERT INTO a (n) VALUES (?)') < 200)
    database.exec("INSERT INTO a (n) VALUES (1); CREATE TRIGGER s AFTER INSERT ON w BEGIN INSERT INTO sqlite_sequence VALUES ('x', 1); END")
    assert.equal(cost('INSERT INTO a (n) VALUES (?)'), Infinity)
    database.exec('DROP TRIGGER s')
    const fill = database.prepare('INSERT INTO sqlite_sequence VALUES (?, 1)')
    for (let n = 0; n < 1_000; n += 1) fill.run(`other_${n}`)
    assert.equal(cost('INSERT INTO a (n) VALUES (?)'), Infinity)
  })
})
