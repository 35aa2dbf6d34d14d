// Statistics and settings, as entries of their own: on whichever connection the next entry is applied, it finds them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignKeysStatement } from '../command/upkeep.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { TestMachine, command, failed, logOf, onMachine, written, type ShortStatement, type TestMachineOptions } from './test-machine.ts'

const rows = (count: number): string => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`

/** Which index SQLite picks for `pick` depends on the statistics, and with it which two rows come first. */
const measured: readonly ShortStatement[] = [
  'CREATE TABLE s (a, b, c)',
  'CREATE INDEX sa ON s (a)',
  'CREATE INDEX sb ON s (b)',
  `${rows(2_000)} INSERT INTO s SELECT i % 2, (i * 7) % 997, 2000 - i FROM n`,
  'CREATE TABLE pick (c)',
]
const pick = 'INSERT INTO pick SELECT c FROM s WHERE a = 1 AND b > 3 LIMIT 2'

/** The log on one machine; a restart behind each group of `restartEvery`. */
async function outcome(
  commands: readonly (readonly ShortStatement[])[],
  options: { readonly size: number; readonly restarts?: boolean } & TestMachineOptions,
): Promise<unknown> {
  const world = new TestMachine(options)
  try {
    const log = logOf(commands.map((statements) => command(statements)))
    for (let at = 0; at < log.length; at += options.size) {
      await world.apply(log.slice(at, at + options.size))
      if (options.restarts === true) await world.reopen()
    }
    assert.deepEqual(world.fatal, [])
    const picked = world.rows('SELECT c FROM pick')
    const hash = world.machine.stateHash()
    await world.machine.close()
    return { results: log.map(({ index }) => world.results(index)), picked, hash, fingerprint: fingerprintDatabase(world.path) }
  } finally {
    await world.dispose()
  }
}

test('statistics change plans on every node at the same entry: in place, in a thread, behind a restart, in groups', async () => {
  const long = `${rows(50_000)} INSERT INTO pick SELECT i FROM n WHERE i > 49999`
  const commands = [
    measured,
    [pick],
    ['ANALYZE'],
    [pick],
    [long],
    [pick],
    ['PRAGMA optimize'],
    [pick],
    ['DROP INDEX sa'],
    [pick],
    ['ANALYZE s'],
    [pick, long],
  ]
  const expected = await outcome(commands, { size: 1 })
  for (const options of [
    { size: 64 },
    { size: 3, restarts: true },
    { size: 1, restarts: true },
    { size: 1, elsewhere: 'threads' },
    { size: 64, elsewhere: 'threads' },
    { size: 2, restarts: true, elsewhere: 'threads' },
  ] as const) {
    assert.deepEqual(await outcome(commands, options), expected, JSON.stringify(options))
  }
})

test('ANALYZE keeps averages only, and none of our own tables', () =>
  onMachine(async (world) => {
    await world.run(measured)
    assert.deepEqual(await world.run(['ANALYZE']), [written(2_000, 2_000)])
    assert.deepEqual(world.rows('SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY idx'), [
      ['s', 'sa', '2000 1000'],
      ['s', 'sb', '2000 3'],
    ])
    assert.deepEqual(world.rows('SELECT count(*) FROM sqlite_stat4'), [[0]])
    assert.deepEqual(await world.run(['ANALYZE nowhere']), [failed('no such table: nowhere')])
  }))

test('PRAGMA optimize measures what was never measured, and what has grown or shrunk much, however it is written', () =>
  onMachine(async (world) => {
    await world.run([...measured, 'CREATE TABLE "t t" (a UNIQUE, b)', 'CREATE TABLE plain (a)'])
    const stats = (): unknown => world.rows('SELECT tbl, stat FROM sqlite_stat1 ORDER BY idx')
    await world.run(['PRAGMA optimize'])
    assert.deepEqual(stats(), [
      ['s', '2000 1000'],
      ['s', '2000 3'],
    ])
    await world.run([`${rows(3_000)} INSERT INTO s SELECT i, i, i FROM n`, `${rows(20)} INSERT INTO "t t" SELECT i, i FROM n`])
    await world.run(['PRAGMA main.optimize(0xfffe)'])
    assert.deepEqual(stats(), [
      ['s', '2000 1000'],
      ['s', '2000 3'],
      ['t t', '20 1'],
    ])
    await world.run(['DELETE FROM s WHERE rowid > 100', 'CREATE INDEX sc ON s (c)'])
    await world.run(['PRAGMA optimize'])
    assert.deepEqual(stats(), [
      ['s', '100 50'],
      ['s', '100 1'],
      ['s', '100 1'],
      ['t t', '20 1'],
    ])
  }))

test('what must stand alone answers so beside others, which are carried out', () =>
  onMachine(async (world) => {
    const results = await world.run([
      'CREATE TABLE t (a UNIQUE)',
      'ANALYZE',
      'PRAGMA optimize',
      'PRAGMA foreign_keys = ON',
      'INSERT INTO t VALUES (1)',
    ])
    assert.deepEqual(results, [
      written(0, 0),
      failed('ANALYZE must be the only statement of its request'),
      failed('PRAGMA must be the only statement of its request'),
      failed('foreign keys are off: that is a setting of the cluster (flag -fk), not of a connection'),
      written(1, 1),
    ])
    assert.deepEqual(world.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'"), [])
  }))

for (const elsewhere of ['nowhere', 'threads'] as const) {
  test(`foreign keys are a setting of the cluster, kept over restarts and on every connection (${elsewhere})`, () =>
    onMachine(
      async (world) => {
        const violation = 'INSERT INTO c VALUES (1)'
        const long = `${rows(50_000)} INSERT INTO c SELECT i FROM n WHERE i > 49999`
        await world.run(['CREATE TABLE p (id INTEGER PRIMARY KEY)', 'CREATE TABLE c (p REFERENCES p)', violation])
        const log = logOf([command([foreignKeysStatement(true)]), command([violation, long]), command([violation])], 2)
        await world.apply(log)
        const refused = failed('FOREIGN KEY constraint failed')
        assert.deepEqual(world.results(3), [refused, refused])
        assert.deepEqual(world.results(4), [refused])
        await world.reopen()
        assert.deepEqual(await world.run([violation, long]), [refused, refused])
        assert.deepEqual(await world.run(['PRAGMA foreign_keys'], { kind: 'request' }), [
          { kind: 'rows', columns: [{ name: 'foreign_keys', declaredType: '' }], rows: [[1n]] },
        ])
        await world.run([foreignKeysStatement(false)])
        assert.deepEqual(await world.run([violation, long]), [written(2, 1), written(3, 1)])
      },
      { elsewhere },
    ))
}
