// The functions of chance and time while entries are applied: what they give, and where SQLite must not keep it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seedBytes } from '../command/entry-moment.ts'
import { clockRefused } from './clock-guard.ts'
import { TestMachine, command, failed, logOf, onMachine, written, type ShortStatement } from './test-machine.ts'

const timeMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const seed = new Uint8Array(seedBytes).fill(7)

async function value(world: TestMachine, expression: string, atMs = timeMs): Promise<unknown> {
  const [result] = await world.run([`SELECT ${expression}`], { kind: 'request', proposedAtMs: atMs, seed })
  const { rows } = result as { readonly rows?: readonly (readonly unknown[])[] }
  return rows === undefined ? result : rows[0]?.[0]
}

const cases: readonly (readonly [expression: string, value: unknown])[] = [
  ['CURRENT_TIMESTAMP', '2026-01-02 03:04:05'],
  ['CURRENT_DATE', '2026-01-02'],
  ['CURRENT_TIME', '03:04:05'],
  ['datetime()', '2026-01-02 03:04:05'],
  ["datetime('NoW')", '2026-01-02 03:04:05'],
  ["datetime(x'6e6f77')", '2026-01-02 03:04:05'],
  ["datetime('now' || char(0) || 'x')", '2026-01-02 03:04:05'],
  ["datetime(' now')", null],
  ["datetime('now', '-1 day', 'start of month')", '2026-01-01 00:00:00'],
  ["datetime('now', 'localtime')", '2026-01-02 03:04:05'],
  ["datetime('2020-01-01 12:00', 'utc')", '2020-01-01 12:00:00'],
  ["datetime('subsec')", '2026-01-02 03:04:05.678'],
  ["unixepoch('now')", 1_767_323_045n],
  ["unixepoch('subsec')", 1_767_323_045.678],
  ["strftime('%s')", '1767323045'],
  ["strftime('%f', 'now')", '05.678'],
  ['strftime()', null],
  ['julianday()', 2_461_042.627843],
  ['date(2461042)', '2026-01-01'],
  ['date(NULL)', null],
  ["timediff('now', '2026-01-01')", '+0000-00-01 03:04:05.678'],
  ["typeof(julianday('2000-01-01'))", 'real'],
  ['sqlite_version()', failed('sqlite_version() would differ between nodes')],
  ['length(randomblob(-1))', 1n],
  ["length(randomblob('12'))", 12n],
  ['length(randomblob(3.9))', 3n],
  ['length(randomblob(16777217))', failed('string or blob too big')],
  ['timediff(1)', failed('wrong number of arguments to function timediff()')],
]

for (const [expression, expected] of cases) {
  test(`while an entry is applied, ${expression} is ${JSON.stringify(expected, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one))}`, () =>
    onMachine(async (world) => {
      const actual = await value(world, expression)
      if (typeof expected === 'number') assert(Math.abs(Number(actual) - expected) < 1e-5, String(actual))
      else assert.deepEqual(actual, expected)
    }))
}

test('time never goes back, whatever a leader says, and a restart does not change that', () =>
  onMachine(async (world) => {
    assert.equal(await value(world, 'unixepoch()', 5_000), 5n)
    await world.reopen()
    assert.equal(await value(world, 'unixepoch()', 3_000), 5n)
    assert.equal(await value(world, 'unixepoch()', Number.NaN), 5n)
    assert.equal(await value(world, 'unixepoch()', -1), 5n)
    assert.equal(await value(world, 'datetime()', 1e300), '9999-12-31 23:59:59')
  }))

test('chance is different from row to row, statement to statement and entry to entry, and the same for the same entry', () =>
  onMachine(async (one) => {
    const statements: readonly ShortStatement[] = [
      'CREATE TABLE IF NOT EXISTS t (a DEFAULT (random()), b DEFAULT (hex(randomblob(16))))',
      'INSERT INTO t (b) SELECT hex(randomblob(16)) FROM (VALUES (1), (2), (3))',
      'INSERT INTO t DEFAULT VALUES',
      'INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES',
      'INSERT INTO t DEFAULT VALUES',
    ]
    const log = logOf([command(statements, { seed }), command(statements, { seed: seed.map((byte) => byte + 1) }), command(statements)])
    await one.apply(log)
    const values = one.rows('SELECT a, b FROM t').flat()
    assert.equal(new Set(values).size, 3 * 14)
    await onMachine(async (two) => {
      await two.apply(log, [1])
      assert.deepEqual(two.rows('SELECT a, b FROM t').flat(), values)
    })
  }))

test('a statement that is run again, because another rolled back the group, has the same chance and the same time', async () => {
  const log = logOf([
    command(['CREATE TABLE t (a, b)', 'CREATE TABLE u (a UNIQUE ON CONFLICT ROLLBACK)'], { seed }),
    command(["INSERT INTO t VALUES (random(), datetime('subsec'))", 'INSERT INTO u VALUES (1)'], { seed, proposedAtMs: 7_000 }),
    command(
      [
        'INSERT INTO t VALUES (random(), CURRENT_TIMESTAMP); INSERT INTO u VALUES (1)',
        'INSERT INTO t VALUES (random(), CURRENT_TIMESTAMP), (random(), 1)',
      ],
      { seed, proposedAtMs: 9_000 },
    ),
  ])
  const rows: unknown[] = []
  for (const sizes of [[1], [3]]) {
    await onMachine(async (world) => {
      await world.apply(log, sizes)
      rows.push(world.rows('SELECT * FROM t'))
    })
  }
  assert.equal((rows[0] as unknown[]).length, 4)
  assert.deepEqual(rows[0], rows[1])
})

test('what an index, a CHECK or a generated column would keep never comes from the clock, not by way of a value either', () =>
  onMachine(async (world) => {
    const refuses = async (...statements: ShortStatement[]): Promise<void> => {
      for (const statement of statements) assert.deepEqual(await world.run([statement]), [failed(clockRefused)], String(statement))
    }
    await world.run([
      'CREATE TABLE i (id INTEGER PRIMARY KEY, a, "b c", "date" TEXT)',
      'CREATE INDEX ia ON i (date(a)) WHERE time(lower([B c]), \'+1 day\') IS NULL OR date("date") > 1',
      "CREATE TABLE c (a CHECK (strftime('%Y', CAST(c.a AS date)) IS NULL OR 1), b AS (unixepoch(a, b2)), b2)",
      'CREATE TABLE w (k TEXT COLLATE nocase PRIMARY KEY, v, g AS (datetime(v COLLATE nocase)) STORED) WITHOUT ROWID',
      'CREATE TABLE p (a); CREATE TRIGGER q AFTER INSERT ON p BEGIN INSERT INTO i (a) VALUES (new.a); END',
    ])
    await refuses(
      "INSERT INTO i (a) VALUES ('now')",
      ['INSERT INTO i (a) VALUES (?)', Buffer.from('NOW')],
      'INSERT OR IGNORE INTO i ("b c") VALUES (\'SUBSEC\')',
      "INSERT OR REPLACE INTO i (date) VALUES ('n' || 'ow')",
      "INSERT INTO c (a) VALUES (1), ('now')",
      "INSERT INTO c (a, b2) VALUES (1, 'localtime')",
      "INSERT INTO w VALUES ('k', 'now')",
      "INSERT INTO w VALUES ('k', 1) ON CONFLICT DO NOTHING; UPDATE w SET v = 'now'",
      "INSERT INTO p VALUES ('now')",
    )
    assert.deepEqual(
      await world.run(["INSERT INTO i (a, date) VALUES ('2020-01-01', 'localtime')", "INSERT INTO p VALUES (date('now'))"]),
      [written(1, 1), written(1, 1)],
    )
    // The schema changes, and the guard with it.
    await world.run(['DROP INDEX ia', 'ALTER TABLE i RENAME COLUMN a TO z', 'ALTER TABLE i RENAME TO j'])
    assert.deepEqual(await world.run(["INSERT INTO j (z) VALUES ('now')"]), [written(3, 1)])
    assert.deepEqual(await world.run(['CREATE INDEX ja ON j (date(z))']), [
      failed('non-deterministic use of date() in an index, a CHECK constraint or a generated column'),
    ])
    await world.run(["DELETE FROM j WHERE z = 'now'", 'CREATE INDEX ja ON j (date(z))'])
    await world.reopen()
    await refuses("UPDATE j SET z = 'now'")
    await world.run(['ALTER TABLE j RENAME COLUMN z TO y'])
    await refuses("UPDATE j SET y = 'now'")
    assert.deepEqual(world.rows('PRAGMA integrity_check'), [['ok']])
  }))

for (const [what, schema, allowed, refused] of [
  [
    'a table that is called as a function',
    ['CREATE TABLE time (a)', 'CREATE INDEX i ON time (a DESC)'],
    "INSERT INTO time VALUES ('now')",
    undefined,
  ],
  [
    'a name beyond ASCII',
    ['CREATE TABLE t (Übergabe CHECK (date(Übergabe) IS NOT 1))'],
    'INSERT INTO t VALUES (1)',
    "INSERT INTO t VALUES ('now')",
  ],
  [
    'a column that is called as a word of the expression',
    ['CREATE TABLE t ("end", b, CHECK (date(CASE WHEN b THEN "end" END) IS NOT 1))'],
    'INSERT INTO t VALUES (1, 1)',
    "INSERT INTO t VALUES ('now', 1)",
  ],
  [
    'a column behind very many others',
    [
      `CREATE TABLE t (${Array.from({ length: 1_500 }, (_, at) => `a${at}`).join()}, "end", CHECK (date(CASE WHEN a0 THEN "end" END) IS NOT 1))`,
    ],
    'INSERT INTO t (a0) VALUES (1)',
    'INSERT INTO t (a0, "end") VALUES (1, \'Now\')',
  ],
  ['the rowid', ['CREATE TABLE t (a, CHECK (date(rowid) IS NOT 1))'], 'INSERT INTO t VALUES (1)', undefined],
  [
    'a shadow table',
    ['CREATE VIRTUAL TABLE t USING fts5 (a)', 'CREATE INDEX i ON t_content (date(c0))'],
    'INSERT INTO t VALUES (1)',
    undefined,
  ],
  [
    'a trigger that cannot run',
    ['CREATE TABLE t (a, CHECK (date(a) IS NOT 1))', 'CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO missing VALUES (1); END'],
    'UPDATE t SET a = 1',
    undefined,
  ],
] as const) {
  test(`a date function over ${what} keeps nobody from writing`, () =>
    onMachine(async (world) => {
      await world.run(['CREATE TABLE other (a)', ...schema])
      for (const sql of [allowed, 'INSERT INTO other VALUES (1)']) {
        const [result] = await world.run([sql])
        assert.equal(
          (result as { readonly kind: string }).kind,
          'written',
          `${sql}: ${JSON.stringify(result, (_, one: unknown) => String(one))}`,
        )
      }
      if (refused !== undefined) assert.deepEqual(await world.run([refused]), [failed(clockRefused)])
    }))
}

test('changes() and total_changes() begin at 0 in each entry, last_insert_rowid() where the log has left it', async () => {
  const log = logOf([
    command(['CREATE TABLE t (id INTEGER PRIMARY KEY, c, n, l)', 'INSERT INTO t (id) VALUES (7)']),
    command([
      'INSERT INTO t (c, n, l) VALUES (changes(), total_changes(), last_insert_rowid()), (changes(), total_changes(), last_insert_rowid())',
    ]),
    command(['UPDATE t SET c = 9 WHERE id < 9', 'INSERT INTO t (c, n, l) VALUES (changes(), total_changes(), last_insert_rowid())'], {
      transaction: true,
    }),
    command(['UPDATE t SET c = 9 WHERE id < 9', 'INSERT INTO t (c, n) VALUES (changes(), total_changes())']),
    command([
      'CREATE TABLE u (c); CREATE TRIGGER r AFTER DELETE ON t BEGIN UPDATE t SET n = 1; INSERT INTO u VALUES (changes()); END',
      'DELETE FROM t WHERE id = 7',
    ]),
  ])
  const rows: unknown[] = []
  for (const sizes of [[1], [64], [2, 1]]) {
    await onMachine(async (world) => {
      for (let at = 0; at < log.length; at += 2) {
        await world.apply(log.slice(at, at + 2), sizes)
        if (sizes.length > 1) await world.reopen()
      }
      rows.push([world.rows('SELECT * FROM t ORDER BY id'), world.rows('SELECT * FROM u')])
    })
  }
  assert.deepEqual(rows[0], [
    [
      [8, 9, 1, 7],
      [9, 0, 1, 7],
      [10, 2, 1, 9],
      [11, 0, 1, null],
    ],
    [[4]],
  ])
  assert.deepEqual(rows.slice(1), [rows[0], rows[0]])
})
