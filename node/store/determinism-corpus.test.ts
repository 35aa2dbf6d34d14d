// What could make nodes differ, as one table: each case is a log of commands that pass the gate, applied on four machines that group, restart and thread each in their own
// way. Results, state hash and content must be the same, and what the case says of the content must hold.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeText } from '../command/gate.ts'
import { foreignKeysStatement } from '../command/upkeep.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { TestMachine, command, logOf, type ShortStatement, type TestMachineOptions } from './test-machine.ts'

interface Case {
  readonly title: string
  readonly commands: readonly (readonly ShortStatement[])[]
  readonly transaction?: boolean
  readonly foreignKeys?: boolean
  /** A query and its rows. */
  readonly holds?: readonly [sql: string, rows: readonly (readonly unknown[])[]]
}

const startMs = Date.UTC(2026, 4, 6, 7, 8, 9)
const manyRows = (count: number, what: string): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) ${what}`
/** Long enough for the thread. */
const long = manyRows(60_000, 'INSERT INTO t (a) SELECT max(i) FROM n')

const cases: readonly Case[] = [
  {
    title: 'chance in VALUES, SELECT, ORDER BY, LIMIT, RETURNING, UPSERT, CTE',
    commands: [
      ['CREATE TABLE t (id INTEGER PRIMARY KEY, a, b UNIQUE)', long],
      ['INSERT INTO t (a, b) VALUES (random(), 1), (random(), 2), (hex(randomblob(16)), 3) RETURNING *'],
      ['INSERT INTO t (a, b) SELECT random(), random() FROM (VALUES (1), (2), (3), (4))', long],
      ['INSERT INTO t (b) VALUES (1) ON CONFLICT DO UPDATE SET a = random() RETURNING a'],
      ['WITH r AS (SELECT abs(random() % 3) AS n) INSERT INTO t (a) SELECT n FROM r LIMIT abs(random() % 5)'],
      ['DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT 2)', 'UPDATE t SET a = random() WHERE random() > 0'],
    ],
    holds: ['SELECT count(DISTINCT a) > 5 FROM t', [[1]]],
  },
  {
    title: 'chance and time in DEFAULT, triggers, views, RETURNING',
    commands: [
      [
        "CREATE TABLE t (a DEFAULT (random()), b DEFAULT CURRENT_TIMESTAMP, c DEFAULT (datetime('now', 'subsec')), d AS (length(b)) STORED)",
        'CREATE TABLE log (at, who)',
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (strftime('%s', 'now'), random()), (CURRENT_TIME, hex(randomblob(4))); END",
        "CREATE VIEW v AS SELECT random() AS x, date('now', 'localtime') AS y, CURRENT_DATE AS z",
      ],
      ['INSERT INTO t DEFAULT VALUES', long, 'INSERT INTO t DEFAULT VALUES'],
      ['INSERT INTO log SELECT x, y || z FROM v', 'INSERT INTO t (b) VALUES (datetime(?))'].map((sql, at) => (at === 1 ? ([sql, 'now'] as const) : sql)),
    ],
    holds: ['SELECT count(*), count(DISTINCT a), min(b) = max(b) FROM t', [[4, 4, 1]]],
  },
  {
    title: 'strings in double quotes in tables, indexes, triggers, views and new columns',
    commands: [
      [
        'CREATE TABLE t (id INTEGER PRIMARY KEY, "a" CHECK ("a" <> "never"), b AS ("a" || "-"))',
        'CREATE TABLE log ("what", at DEFAULT CURRENT_TIMESTAMP)',
        'CREATE INDEX i ON t ("a") WHERE "a" = "often"',
      ],
      [
        'CREATE TRIGGER r AFTER INSERT ON "t" WHEN new."a" = "often" BEGIN INSERT INTO log("what") VALUES ("logged" || random()); END',
        'CREATE VIEW v AS SELECT "b" || "!" AS loud FROM "t"',
      ],
      [long, 'INSERT INTO t ("a") VALUES ("often")', 'INSERT INTO t ("a") VALUES ("never")'],
      ['ALTER TABLE t ADD COLUMN c DEFAULT "d" CHECK (c IN ("d", "e"))', 'ALTER TABLE t RENAME TO u', long.replace('INTO t', 'INTO u')],
    ],
    holds: [`SELECT (SELECT count(*) FROM log WHERE what LIKE 'logged%'), loud, sql LIKE '%IN (''d'', ''e'')%' FROM v, sqlite_schema AS s WHERE s.name = 'u' AND loud LIKE 'o%'`, [[1, 'often-!', 1]]],
  },
  {
    title: 'what a connection remembers: changes(), total_changes(), last_insert_rowid()',
    commands: [
      ['CREATE TABLE t (a, b, c)', 'CREATE TABLE u (a)', 'CREATE TRIGGER r AFTER UPDATE ON t BEGIN INSERT INTO u VALUES (changes() || last_insert_rowid()); END'],
      ['INSERT INTO t VALUES (changes(), total_changes(), last_insert_rowid())', long],
      ['UPDATE t SET a = last_insert_rowid()', 'INSERT INTO t VALUES (changes(), total_changes(), last_insert_rowid())'],
      ['SELECT changes(), last_insert_rowid()', 'INSERT INTO u SELECT changes() + last_insert_rowid() FROM t'],
    ],
  },
  {
    title: 'the same in one transaction, with full-text tables that remember too',
    transaction: true,
    commands: [
      ['CREATE VIRTUAL TABLE f USING fts4(x)', 'CREATE VIRTUAL TABLE g USING fts5(x)', 'CREATE TABLE t (a, b, c)'],
      ["INSERT INTO f VALUES ('a')", 'INSERT INTO t VALUES (changes(), total_changes(), last_insert_rowid())'],
      ["INSERT INTO g VALUES ('b')", "INSERT INTO f VALUES ('c')", 'INSERT INTO t VALUES (changes(), 0, last_insert_rowid())'],
      ['INSERT INTO t VALUES (changes(), total_changes(), last_insert_rowid())', long],
    ],
  },
  {
    title: 'LIMIT without ORDER BY, before and after ANALYZE, an index that goes, PRAGMA optimize',
    commands: [
      ['CREATE TABLE s (a, b, c)', 'CREATE INDEX sa ON s (a)', 'CREATE INDEX sb ON s (b)', 'CREATE TABLE t (a)'],
      [manyRows(1_500, 'INSERT INTO s SELECT i % 2, (i * 7) % 701, 1500 - i FROM n')],
      ...['ANALYZE', 'PRAGMA optimize', 'DROP INDEX sb', 'ANALYZE s', 'REINDEX'].flatMap((sql) => [
        ['INSERT INTO t SELECT c FROM s WHERE a = 1 AND b > 3 LIMIT 3'],
        [sql],
        [long],
        ['INSERT INTO t SELECT c FROM s WHERE a = 1 AND b > 3 LIMIT 3', 'DELETE FROM s WHERE rowid IN (SELECT rowid FROM s WHERE b < 9 LIMIT 1)'],
      ]),
    ],
  },
  {
    title: 'statements that roll the whole transaction back, between others',
    commands: [
      ['CREATE TABLE t (a UNIQUE)', 'CREATE TABLE c (a UNIQUE ON CONFLICT ROLLBACK)', 'INSERT INTO t VALUES (1)', 'INSERT INTO c VALUES (1)'],
      ["CREATE TRIGGER r BEFORE INSERT ON t WHEN new.a = 13 BEGIN SELECT RAISE(ROLLBACK, 'no'); END"],
      ...Array.from({ length: 12 }, (_, n): readonly ShortStatement[] => [
        `INSERT INTO t VALUES (random())`,
        n % 3 === 0 ? 'INSERT OR ROLLBACK INTO t VALUES (1)' : n % 3 === 1 ? 'INSERT INTO c VALUES (1)' : 'INSERT INTO t VALUES (13)',
        `INSERT INTO t VALUES (${n + 100})`,
      ]),
    ],
    holds: ['SELECT count(*), count(DISTINCT a) FROM t', [[25, 25]]],
  },
  {
    title: 'constraints that are checked at the end, and cascades',
    foreignKeys: true,
    commands: [
      ['CREATE TABLE p (id INTEGER PRIMARY KEY)', 'CREATE TABLE t (a REFERENCES p ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, r DEFAULT (random()))'],
      ['INSERT INTO t (a) VALUES (1)', 'INSERT INTO p VALUES (1)'],
      ['INSERT INTO p VALUES (1), (2)', 'INSERT INTO t (a) VALUES (2), (1)', long],
      ['DELETE FROM p WHERE id = 2', 'INSERT INTO t (a) VALUES (7)'],
    ],
  },
  {
    title: 'foreign keys that are turned on and off between entries',
    commands: [
      ['CREATE TABLE p (id INTEGER PRIMARY KEY)', 'CREATE TABLE t (a REFERENCES p)', 'INSERT INTO t VALUES (1)'],
      ['PRAGMA foreign_keys = ON'],
      ['INSERT INTO t VALUES (0)'],
      [foreignKeysStatement(true)],
      ['PRAGMA foreign_keys = OFF', 'INSERT INTO t VALUES (2)', long],
      [foreignKeysStatement(false)],
      ['INSERT INTO t VALUES (3)', long],
    ],
    holds: ['SELECT a FROM t ORDER BY a', [[0], [1], [3], [60_000]]],
  },
  {
    title: 'an index, a CHECK and a generated column over a date, and values that are no date',
    commands: [
      ["CREATE TABLE t (id INTEGER PRIMARY KEY, a, b AS (date(a)) STORED, CHECK (time(a) IS NULL OR time(a) >= '00'))", 'CREATE INDEX i ON t (strftime(\'%Y\', a))'],
      ["INSERT INTO t (a) VALUES ('now')", "INSERT INTO t (a) VALUES (datetime('now'))", "INSERT INTO t (a) VALUES ('2020-02-03')"],
      ["UPDATE t SET a = 'NOW' WHERE id = 1", "UPDATE t SET a = 'localtime' WHERE id = 1", "DELETE FROM t WHERE strftime('%Y', a) = '2020'"],
    ],
    holds: ["SELECT a, b FROM t", [['localtime', null]]],
  },
  {
    title: 'STRICT, WITHOUT ROWID, AUTOINCREMENT, NOCASE, expressions and partial indexes, floats',
    commands: [
      ['CREATE TABLE t (a REAL)', 'CREATE TABLE s (k TEXT COLLATE NOCASE PRIMARY KEY, v REAL) STRICT, WITHOUT ROWID', 'CREATE TABLE q (id INTEGER PRIMARY KEY AUTOINCREMENT, a)'],
      ['CREATE UNIQUE INDEX u ON q (abs(a)) WHERE a IS NOT NULL', "INSERT INTO s VALUES ('A', 0.1 + 0.2), ('b', sqrt(2)), ('a', 1)"],
      ["INSERT INTO s VALUES ('x', pi() * 1e15), ('Y', exp(1)), ('z', sin(0.5))", "INSERT INTO s VALUES ('w', 'text')", long],
      ['INSERT INTO q (a) VALUES (1), (-1)', 'INSERT INTO q (a) VALUES (2)', 'DELETE FROM q', 'INSERT OR IGNORE INTO q (a) VALUES (3), (-3), (4)', 'DELETE FROM sqlite_sequence', 'INSERT INTO q (a) VALUES (9)'],
    ],
  },
] // prettier-ignore

async function outcomeOf(
  one: Case,
  options: { readonly size: number; readonly restarts?: boolean } & TestMachineOptions,
): Promise<unknown> {
  const world = new TestMachine({ foreignKeys: one.foreignKeys ?? false, ...options })
  try {
    const log = logOf(
      one.commands.map((statements, at) =>
        command(statements, {
          kind: at % 2 === 0 ? 'execute' : 'request',
          transaction: one.transaction ?? false,
          // Another leader's clock, now and then.
          proposedAtMs: startMs + at * 5_000 - (at % 3 === 2 ? 60_000 : 0),
          seed: new Uint8Array(16).fill(at),
        }),
      ),
    )
    for (let at = 0; at < log.length; at += options.size) {
      await world.apply(log.slice(at, at + options.size))
      if (options.restarts === true) await world.reopen()
    }
    assert.deepEqual(world.fatal, [])
    if (one.holds !== undefined) assert.deepEqual(world.rows(one.holds[0]), one.holds[1])
    assert.deepEqual(world.rows('PRAGMA integrity_check'), [['ok']])
    const hash = world.machine.stateHash()
    await world.machine.close()
    return { results: log.map(({ index }) => world.results(index)), hash, fingerprint: fingerprintDatabase(world.path) }
  } finally {
    await world.dispose()
  }
}

for (const one of cases) {
  test(`every node comes to the same: ${one.title}`, async () => {
    for (const statements of one.commands) {
      for (const statement of statements) {
        const sql = typeof statement === 'string' ? statement : statement[0]
        const isOurs = [true, false].some((isOn) => sql === foreignKeysStatement(isOn))
        assert(isOurs || judgeText(sql, { for: 'request' }).ok, `the gate refuses: ${sql}`)
      }
    }
    const expected = await outcomeOf(one, { size: 1 })
    assert.deepEqual(await outcomeOf(one, { size: 64 }), expected)
    assert.deepEqual(await outcomeOf(one, { size: 2, restarts: true }), expected)
    assert.deepEqual(await outcomeOf(one, { size: 3, elsewhere: 'threads' }), expected)
  })
}
