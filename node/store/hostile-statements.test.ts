// Statements that were built to make nodes differ or stop. Each case runs on three state machines: one entry a group, all in one group, groups of three with a restart
// behind each. None may stop, and all must answer alike and hold the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeText } from '../command/gate.ts'
import { freeBytesMin } from './disk-space.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { rowidRefused } from './rowid-guard.ts'
import { TestMachine, command, failed, logOf, written, type ShortStatement } from './test-machine.ts'

const max = '9223372036854775807'
const cases: readonly {
  readonly title: string
  readonly commands: readonly (readonly ShortStatement[])[]
  readonly transaction?: boolean
  /** A command with a statement that the gate refuses never gets into the log. */
  readonly isGated?: boolean
}[] = [
  {
    title: 'a sequence at its end',
    commands: [
      ['CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)', 'CREATE TABLE n (a)'],
      ['INSERT INTO t (a) VALUES (1)', `UPDATE sqlite_sequence SET seq = ${max}`],
      ['INSERT INTO n VALUES (1)', 'INSERT INTO t (a) VALUES (2)', 'INSERT INTO n VALUES (2)', 'INSERT INTO t (a) VALUES (3)'],
      ['INSERT INTO n VALUES (4); INSERT INTO t (a) VALUES (2)', 'INSERT INTO n VALUES (3)'],
    ],
  },
  {
    title: 'the last rowid as a parameter, as an expression, by UPDATE, by counting up to it',
    commands: [
      ['CREATE TABLE t (a)', 'CREATE TABLE k (id INTEGER PRIMARY KEY, a)', 'INSERT INTO t VALUES (0)'],
      [['INSERT INTO t (rowid, a) VALUES (?, 1)', 2n ** 63n - 1n], 'INSERT INTO t VALUES (2)'],
      [`INSERT INTO t (_rowid_, a) VALUES (${max} - 1 + 1, 1)`, 'INSERT INTO t VALUES (3)'],
      ['UPDATE t SET rowid = 9223372036854775806 WHERE rowid = 1', 'UPDATE t SET oid = oid + 1', 'INSERT INTO t VALUES (4), (5), (6)'],
      [`UPDATE t SET (a, _rowid_) = (1, ${max})`, 'INSERT INTO t VALUES (7)'],
      [`INSERT INTO k VALUES (1, 1)`, `INSERT INTO k VALUES (1, 2) ON CONFLICT DO UPDATE SET id = ${max}`, 'INSERT INTO k (a) VALUES (8)'],
    ],
  },
  {
    title: 'the last rowid for a moment only',
    commands: [
      ['CREATE TABLE k (id INTEGER PRIMARY KEY, a UNIQUE)', `REPLACE INTO k VALUES (${max}, 'x'), (NULL, 'y'), (5, 'x')`],
      ['CREATE TABLE t (id INTEGER PRIMARY KEY, a)', `CREATE TRIGGER r AFTER INSERT ON t WHEN new.id = ${max}
        BEGIN INSERT INTO t (a) VALUES (9); DELETE FROM t WHERE id = ${max}; END`], // prettier-ignore
      [`INSERT INTO t VALUES (${max}, 1)`],
      ['CREATE TABLE s (a)', `CREATE TRIGGER q AFTER INSERT ON s BEGIN INSERT INTO t VALUES (${max}, 1); END`, 'INSERT INTO s VALUES (1)'],
      [`INSERT OR REPLACE INTO t SELECT ${max}, 1 UNION ALL SELECT NULL, 2`, 'INSERT INTO t (a) VALUES (3)'],
    ],
  },
  {
    title: 'the last rowid in a table that was made, renamed or altered in the same command',
    transaction: true,
    commands: [
      ['CREATE TABLE t (id INTEGER PRIMARY KEY, a)', 'INSERT INTO t VALUES (1, 1)'],
      ['ALTER TABLE t RENAME TO u', 'ALTER TABLE u RENAME COLUMN id TO "i d"', `UPDATE u SET "i d" = ${max}`],
      ['ALTER TABLE t RENAME TO u', 'INSERT INTO u VALUES (2, 2)'],
      [`CREATE TABLE m (rowid, oid, _rowid_, id INTEGER PRIMARY KEY); INSERT INTO m (id) VALUES (${max}); INSERT INTO m (oid) VALUES (1)`],
      [`INSERT INTO u VALUES (${max}, 2)`],
      ['INSERT INTO u (a) VALUES (5)'],
    ],
  },
  {
    title: 'the last rowid in virtual tables',
    commands: [
      ['CREATE VIRTUAL TABLE f USING fts5(x)', 'CREATE VIRTUAL TABLE g USING fts4(x)', 'CREATE VIRTUAL TABLE r USING rtree(id, a, b)'],
      [`INSERT INTO f (rowid, x) VALUES (${max}, 'a')`, "INSERT INTO f (x) VALUES ('b')", "INSERT INTO f (x) VALUES ('c')"],
      [`INSERT INTO g (docid, x) VALUES (${max}, 'a')`, "INSERT INTO g (x) VALUES ('b')"],
      [`INSERT INTO r VALUES (${max}, 1, 2)`, 'INSERT INTO r (a, b) VALUES (1, 2)'],
    ],
  },
  {
    title: 'a read that fails by the name of the data directory',
    transaction: true,
    isGated: true,
    commands: [
      ['CREATE TABLE t (a)'],
      ...[-11, -12, -13, -14, -15].map((at): readonly ShortStatement[] => [
        'INSERT INTO t VALUES (1)',
        `SELECT json(CASE unicode(substr(file, ${at}, 1)) % 2 WHEN 1 THEN '1' ELSE 'no json' END) FROM pragma_database_list`,
      ]),
    ],
  },
  {
    title: 'the order in which pragma_table_list lists',
    isGated: true,
    commands: [
      Array.from({ length: 30 }, (_, n) => `CREATE TABLE t${n} (a)`),
      Array.from({ length: 10 }, (_, n) => `DROP TABLE t${3 * n}`),
      ['CREATE TABLE kept (a)'],
      ['INSERT INTO kept SELECT name FROM pragma_table_list'],
    ],
  },
  {
    title: 'statistics for the planner, changed behind its back',
    isGated: true,
    commands: [
      ['CREATE TABLE s (a, b, c)', 'CREATE INDEX sa ON s (a)', 'CREATE INDEX sb ON s (b)'],
      [
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO s SELECT i % 50, (i * 7) % 31, i FROM n',
      ],
      ['ANALYZE'],
      ["UPDATE sqlite_stat1 SET stat = '1000 1' WHERE idx = 'sb'", "UPDATE sqlite_stat1 SET stat = '1000 900' WHERE idx = 'sa'"],
      ['DELETE FROM sqlite_stat4'],
      ['CREATE TABLE pick (c)', 'INSERT INTO pick SELECT c FROM s WHERE a IN (1, 2, 3) AND b IN (4, 5, 6) LIMIT 2'],
    ],
  },
  {
    title: 'the configuration of a full-text table, rolled back',
    transaction: true,
    isGated: true,
    commands: [
      ['CREATE VIRTUAL TABLE f USING fts5(x)', 'CREATE VIRTUAL TABLE g USING fts4(x)'],
      ["INSERT INTO f (f, rank) VALUES ('secure-delete', 1)", 'INSERT INTO nowhere VALUES (1)'],
      ["INSERT INTO g (g) VALUES ('automerge=2')", 'INSERT INTO nowhere VALUES (1)'],
      [['INSERT INTO g (g) VALUES (?)', 'automerge=2'], 'INSERT INTO nowhere VALUES (1)'],
      ...Array.from({ length: 40 }, (_, n): readonly ShortStatement[] => [
        `INSERT INTO f (rowid, x) VALUES (${n}, 'a b c ${n} z${n % 3}')`,
        `DELETE FROM f WHERE rowid = ${n - 5}`,
      ]),
      ...Array.from({ length: 36 }, (_, n): readonly ShortStatement[] => [
        `INSERT INTO g (x) WITH RECURSIVE i(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM i WHERE j < 1500) SELECT printf('word%dof%d', j * 7919 % 100000, ${n}) FROM i`,
      ]),
    ],
  },
]

async function outcomeOf(one: (typeof cases)[number], size: number, restarts: boolean): Promise<unknown> {
  const world = new TestMachine()
  try {
    const isLet = (statements: readonly ShortStatement[]): boolean =>
      statements.every((statement) => judgeText(typeof statement === 'string' ? statement : statement[0], { for: 'execute' }).ok)
    const commands = one.isGated === true ? one.commands.filter(isLet) : one.commands
    const log = logOf(commands.map((statements) => command(statements, { transaction: one.transaction ?? false })))
    for (let at = 0; at < log.length; at += size) {
      await world.apply(log.slice(at, at + size))
      if (restarts) await world.reopen()
    }
    assert.deepEqual(world.fatal, [])
    await world.machine.close()
    return { results: log.map(({ index }) => world.results(index)), fingerprint: fingerprintDatabase(world.path) }
  } finally {
    await world.dispose()
  }
}

for (const one of cases) {
  test(`no node stops and none differs: ${one.title}`, async () => {
    const expected = await outcomeOf(one, 1, false)
    assert.deepEqual(await outcomeOf(one, 64, false), expected)
    assert.deepEqual(await outcomeOf(one, 3, true), expected)
    assert.deepEqual(await outcomeOf(one, 1, true), expected)
  })
}

async function onMachine(body: (world: TestMachine) => Promise<void>, freeBytes?: number): Promise<void> {
  const world = new TestMachine({ foreignKeys: false, ...(freeBytes === undefined ? {} : { readFreeBytes: () => freeBytes }) })
  try {
    await body(world)
  } finally {
    await world.dispose()
  }
}

const exhausted: readonly ShortStatement[] = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)',
  'INSERT INTO t (a) VALUES (1)',
  `UPDATE sqlite_sequence SET seq = ${max}`,
]

test('a table whose rowids are used up answers so, and the statements around it stand', () =>
  onMachine(async (world) => {
    await world.run(['CREATE TABLE n (a)', ...exhausted])
    const results = await world.run(['INSERT INTO n VALUES (1)', 'INSERT INTO t (a) VALUES (2)', 'INSERT INTO n VALUES (2)'])
    assert.deepEqual(results, [written(1, 1), failed('database or disk is full'), written(2, 1)])
    const together = await world.run(['INSERT INTO n VALUES (3)', 'INSERT INTO t (a) VALUES (2)'], { transaction: true })
    assert.deepEqual(together, [written(3, 1), failed('database or disk is full')])
    assert.deepEqual(world.rows('SELECT a FROM n'), [[1], [2]])
    assert.deepEqual(world.fatal, [])
  }))

test('the same answer of SQLite with no room on the disk stops the node, with nothing recorded', () =>
  onMachine(async (world) => {
    await world.run(exhausted)
    assert.deepEqual(await world.run(['INSERT INTO t (a) VALUES (2)']), [])
    assert.deepEqual(
      world.fatal.map(({ code }) => code),
      ['database_failed'],
    )
    assert.match(world.fatal[0]!.message, /SQLITE_FULL/)
    assert.equal(world.machine.appliedIndex, 1)
  }, freeBytesMin - 1))

test('the last rowid of all is refused wherever it would come from', () =>
  onMachine(async (world) => {
    await world.run(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)', 'CREATE VIRTUAL TABLE f USING fts5(x)'])
    for (const statement of [
      `INSERT INTO t (rowid) VALUES (${max})`,
      `INSERT OR IGNORE INTO t (rowid) VALUES (5), (${max})`,
      `UPDATE OR FAIL t SET rowid = ${max}`,
      `INSERT INTO f (rowid, x) VALUES (${max}, 'a')`,
    ]) {
      for (const transaction of [false, true])
        assert.deepEqual(await world.run([statement], { transaction }), [failed(rowidRefused)], statement)
    }
    assert.deepEqual(world.rows('SELECT rowid, a FROM t UNION ALL SELECT rowid, x FROM f'), [[1, 1]])
    assert.deepEqual(await world.run(['INSERT INTO t VALUES (2)']), [written(2, 1)])
  }))
