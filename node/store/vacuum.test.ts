// VACUUM as an entry: the file becomes shorter, and nothing that an entry can see is changed, so that a node without room is no different from the others.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { encodeLoadStep, type LoadStep } from '../command/load-step.ts'
import { foreignKeysStatement } from '../command/upkeep.ts'
import { makeEntry } from '../raft/entry.ts'
import { bookkeepingTable } from './bookkeeping.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { TestMachine, command, failed, logOf, written, type ShortStatement, type TestMachineOptions } from './test-machine.ts'

const rows = (count: number): string => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`

/** Every kind of table, indexes and triggers between them, gaps in the rowids. */
const content: readonly (readonly ShortStatement[])[] = [
  [
    'CREATE TABLE bare (a)',
    'CREATE TABLE indexed (a)',
    'CREATE INDEX i1 ON indexed (a)',
    'CREATE TABLE keyed (k PRIMARY KEY, v) WITHOUT ROWID',
    'CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v)',
    'CREATE VIEW early AS SELECT * FROM later',
    "CREATE TABLE checked (k TEXT PRIMARY KEY, v CHECK (v <> 'x'), u UNIQUE, w AS (v || u))",
    'CREATE VIRTUAL TABLE ft USING fts5(t)',
    'CREATE VIRTUAL TABLE boxes USING rtree(id, a, b)',
    'CREATE VIRTUAL TABLE old_ft USING fts4(x)',
    'CREATE TABLE later (x, dropped)',
    'CREATE INDEX gone ON bare (a)',
    'CREATE TRIGGER tr AFTER INSERT ON indexed BEGIN INSERT INTO later (x) VALUES (new.a); END',
    'CREATE TABLE child (p REFERENCES checked (k))',
    "CREATE INDEX dated ON indexed (date(a, '+1 day')) WHERE a IS NOT NULL",
    'DROP INDEX gone',
    'ALTER TABLE later DROP COLUMN dropped',
    'CREATE INDEX i2 ON checked (v DESC)',
    'CREATE TABLE junk (b)',
  ],
  [
    `${rows(900)} INSERT INTO bare SELECT 'v' || i FROM n`,
    `${rows(900)} INSERT INTO indexed SELECT 'v' || i FROM n`,
    `${rows(500)} INSERT INTO keyed SELECT 'k' || i, i FROM n`,
    `${rows(500)} INSERT INTO counted (v) SELECT i FROM n`,
    `${rows(500)} INSERT INTO checked (k, v, u) SELECT 'k' || i, i, i FROM n`,
    `${rows(300)} INSERT INTO ft SELECT 'word' || (i % 7) || ' other' || i FROM n`,
    `${rows(300)} INSERT INTO boxes SELECT i, i, i + 1 FROM n`,
    `${rows(90)} INSERT INTO old_ft SELECT 'word' || (i % 7) FROM n`,
    `${rows(90)} INSERT INTO child SELECT 'k' || i FROM n`,
    `${rows(300)} INSERT INTO junk SELECT zeroblob(4000) FROM n`,
  ],
  ...['bare', 'indexed', 'counted', 'ft', 'boxes', 'old_ft', 'later', 'junk', 'child'].map((table) => [
    `DELETE FROM ${table} WHERE rowid % 3 = 0`,
  ]),
  ['DELETE FROM counted WHERE id > 400', 'DROP TABLE junk', 'PRAGMA user_version = 7', 'PRAGMA application_id = 9'],
  ['ANALYZE'],
]

/** What would come out otherwise if a rowid, the schema's order, a counter or a plan had changed. */
const probes: readonly (readonly ShortStatement[])[] = [
  ['CREATE TABLE IF NOT EXISTS seen (a, b, c)'],
  ['INSERT INTO seen SELECT rowid, type, name FROM sqlite_schema'],
  ['INSERT INTO seen SELECT rowid, a, 1 FROM bare LIMIT 50'],
  ["INSERT INTO seen SELECT rowid, t, 2 FROM ft WHERE ft MATCH 'word3'"],
  ['INSERT INTO seen SELECT * FROM boxes WHERE a < 20'],
  ["INSERT INTO seen SELECT k, v, u FROM checked WHERE v > 3 AND u < 9 OR w = '77'"],
  ["INSERT INTO bare VALUES ('new')", "INSERT INTO indexed VALUES ('new')", 'INSERT INTO counted (v) VALUES (1)'],
  ["INSERT INTO ft VALUES ('word3 new')", "INSERT INTO old_ft VALUES ('new')", "INSERT INTO child VALUES ('nowhere')"],
  ['CREATE TABLE IF NOT EXISTS another (a)', 'CREATE INDEX IF NOT EXISTS another_i ON another (a)'],
  ['DELETE FROM bare WHERE rowid % 5 = 1'],
]

const log = logOf(
  [[foreignKeysStatement(true)], ...content, ['VACUUM'], ...probes, ['DROP TABLE another'], ['vacuum main;'], ...probes].map(
    (statements, at) => command(statements, { proposedAtMs: 1_000 + at }),
  ),
)
const firstVacuum = content.length + 2

interface Life extends TestMachineOptions {
  readonly sizes: readonly number[]
  readonly restarts?: boolean
}

async function live({ sizes, restarts, ...options }: Life): Promise<{
  readonly results: readonly (readonly unknown[])[]
  readonly outcome: unknown
  readonly freeBytes: readonly number[]
}> {
  const world = new TestMachine(options)
  try {
    const freeBytes: number[] = []
    let turn = 0
    for (let at = 0; at < log.length; turn += 1) {
      const size = sizes[turn % sizes.length] ?? 1
      await world.apply(log.slice(at, at + size))
      at += size
      if (at > firstVacuum) freeBytes.push(freeIn(world))
      if (restarts === true) await world.reopen()
    }
    assert.deepEqual(world.fatal, [])
    const results = log.map(({ index }) => world.results(index))
    const schema = world.rows('SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid')
    const settings = ['schema_version', 'user_version', 'application_id', 'encoding', 'auto_vacuum', 'page_size'].map((name) =>
      world.rows(`PRAGMA ${name}`),
    )
    const progress = world.rows(`SELECT * FROM ${bookkeepingTable}`)
    const hash = world.machine.stateHash()
    await world.machine.close()
    const database = new Database(world.path, { readonly: true })
    const sound = database.pragma('integrity_check', { simple: true })
    database.close()
    return { results, outcome: { schema, settings, progress, hash, sound, fingerprint: fingerprintDatabase(world.path) }, freeBytes }
  } finally {
    await world.dispose()
  }
}

function freeIn(world: TestMachine): number {
  const [[pages]] = world.rows('PRAGMA freelist_count') as [[number]]
  return pages * 4096
}

test('VACUUM changes nothing that an entry can see: with other borders, in a thread, behind restarts, and on a node that has no room for it', async () => {
  const expected = await live({ sizes: [1] })
  assert.deepEqual(expected.results[firstVacuum - 1], expected.results[firstVacuum - 2]?.slice(-1), 'as before it')
  for (const life of [
    { sizes: [1000] },
    { sizes: [3], restarts: true },
    { sizes: [7, 2], elsewhere: 'threads', restarts: true },
    { sizes: [1000], elsewhere: 'threads' },
  ] as const) {
    const lived = await live(life)
    assert.deepEqual(lived.outcome, expected.outcome, JSON.stringify(life))
    assert.deepEqual(lived.results, expected.results, JSON.stringify(life))
  }
  for (const sizes of [[5], [1000]]) {
    const without = await live({ sizes, readFreeBytes: () => 0 })
    assert.deepEqual(without.outcome, expected.outcome)
    const vacuums = [firstVacuum - 1, log.length - probes.length - 1]
    assert.deepEqual(
      without.results,
      expected.results.map((results, at) => (vacuums.includes(at) ? [failed('database or disk is full')] : results)),
    )
    assert((without.freeBytes[0] ?? 0) > 500_000, 'its free pages are still there')
  }
  assert((expected.freeBytes[0] ?? 0) < 10_000, 'nothing is free behind it')
})

for (const elsewhere of ['nowhere', 'threads'] as const) {
  test(`what SQLite answers to a VACUUM that cannot be is answered, and does nothing (${elsewhere})`, async () => {
    const world = new TestMachine({ elsewhere })
    try {
      await world.run(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)'])
      const before = statSync(world.path).ino
      assert.deepEqual(await world.run(['VACUUM'], { transaction: true }), [failed('cannot VACUUM from within a transaction')])
      assert.deepEqual(await world.run(['VACUUM nosuch']), [failed('unknown database nosuch')])
      assert.deepEqual(await world.run(['VACUUM temp']), [written(1, 1)])
      const alone = failed('VACUUM must be the only statement of its request')
      assert.deepEqual(await world.run(['INSERT INTO t VALUES (2)', 'VACUUM', 'INSERT INTO t VALUES (3)']), [
        written(2, 1),
        alone,
        written(3, 1),
      ])
      assert.deepEqual(await world.run(['INSERT INTO t VALUES (4)', 'VACUUM'], { transaction: true }), [written(4, 1), alone])
      assert.deepEqual(await world.run([['VACUUM', 'x'.repeat(20_000)]]), [alone])
      assert.deepEqual(world.rows('SELECT a FROM t'), [[1], [2], [3]])
      assert.equal(statSync(world.path).ino, before)
      assert.deepEqual(await world.run(['VACUUM']), [written(4, 1)])
      assert.notEqual(statSync(world.path).ino, before)
      assert.deepEqual(await world.run(['INSERT INTO t VALUES (5)']), [written(4, 1)])
      assert.deepEqual(world.fatal, [])
    } finally {
      await world.dispose()
    }
  })
}

test('long entries before and behind a VACUUM go to the thread without it', async () => {
  const world = new TestMachine({ elsewhere: 'threads' })
  try {
    const long = `${rows(60_000)} INSERT INTO t SELECT i FROM n`
    const texts = [
      'CREATE TABLE t (a)',
      long,
      'DELETE FROM t WHERE a % 2 = 0',
      'VACUUM',
      long,
      `INSERT INTO t SELECT 'vacuum' FROM (${rows(60_000)} SELECT i FROM n)`,
      'VACUUM',
    ]
    await world.apply(logOf(texts.map((text) => command([text]))))
    assert.deepEqual(world.rows('SELECT count(*) FROM t'), [[30_000 + 60_000 + 60_000]])
    assert.deepEqual(world.fatal, [])
  } finally {
    await world.dispose()
  }
})

test('the time of the last VACUUM is kept over restarts, and before the first one that of the first command', async () => {
  const world = new TestMachine()
  try {
    assert.equal(world.machine.vacuumedAtMs, 0)
    await world.run(['CREATE TABLE t (a)'], { proposedAtMs: 5_000 })
    await world.run(['INSERT INTO t VALUES (1)'], { proposedAtMs: 6_000 })
    await world.reopen()
    assert.equal(world.machine.vacuumedAtMs, 5_000)
    await world.run(['VACUUM'], { proposedAtMs: 9_000 })
    assert.equal(world.machine.vacuumedAtMs, 9_000)
    await world.run(['INSERT INTO t VALUES (1)'], { proposedAtMs: 10_000 })
    await world.reopen()
    assert.equal(world.machine.vacuumedAtMs, 9_000)
  } finally {
    await world.dispose()
  }
})

test('a database of a program without VACUUM opens', async () => {
  const world = new TestMachine()
  try {
    await world.run(['CREATE TABLE t (a)'])
    await world.machine.close()
    const database = new Database(world.path)
    for (const column of ['vacuumed_ms', 'load_left_bytes']) database.exec(`ALTER TABLE ${bookkeepingTable} DROP COLUMN ${column}`)
    database.exec(`UPDATE ${bookkeepingTable} SET format = 3`)
    database.close()
    await world.reopen()
    assert.equal(world.machine.vacuumedAtMs, 0)
    await world.run(['VACUUM'], { proposedAtMs: 9_000 })
    assert.equal(world.machine.vacuumedAtMs, 9_000)
  } finally {
    await world.dispose()
  }
})

test('a file that nobody has loaded to its end leaves room that is worth a VACUUM, which gives it back to the disk', async () => {
  const id = '00112233445566778899aabbccddeeff'
  const size = 400_000
  for (const restarts of [false, true]) {
    const world = new TestMachine()
    const steps = async (...given: readonly LoadStep[]): Promise<void> => {
      const from = world.machine.appliedIndex + 1
      await world.apply(given.map((step, at) => makeEntry({ index: from + at, term: 1, kind: 'command', payload: encodeLoadStep(step) })))
      if (restarts) await world.reopen()
    }
    try {
      await world.run(['CREATE TABLE t (a)'])
      await steps({ kind: 'load-begin', id, bytes: size * 9 })
      for (let chunk = 0; chunk < 5; chunk += 1) await steps({ kind: 'load-chunk', id, offset: chunk * size, data: new Uint8Array(size) })
      assert.deepEqual(world.machine.roomLeft(), { load: { id, bytes: size * 9, received: size * 5 }, isWorthVacuum: false })
      await steps({ kind: 'load-abort', id })
      assert.deepEqual(world.machine.roomLeft(), { load: undefined, isWorthVacuum: true })
      await world.run(['VACUUM'])
      if (restarts) await world.reopen()
      assert.deepEqual(world.machine.roomLeft(), { load: undefined, isWorthVacuum: false })
      await world.machine.close()
      assert(statSync(world.path).size < 100_000)
    } finally {
      await world.dispose()
    }
  }
})

test('room that is used again, or little beside what is in use, is not worth a VACUUM', async () => {
  const id = '00112233445566778899aabbccddeeff'
  const world = new TestMachine()
  try {
    await world.run(['CREATE TABLE t (a)', `${rows(2_000)} INSERT INTO t SELECT zeroblob(4000) FROM n`])
    const data = new Uint8Array(500_000)
    const steps: readonly LoadStep[] = [
      { kind: 'load-begin', id, bytes: data.length * 9 },
      ...[0, 1, 2, 3, 4].map((chunk) => ({ kind: 'load-chunk', id, offset: chunk * data.length, data }) as const),
      { kind: 'load-abort', id },
    ]
    const from = world.machine.appliedIndex + 1
    await world.apply(steps.map((step, at) => makeEntry({ index: from + at, term: 1, kind: 'command', payload: encodeLoadStep(step) })))
    assert.equal(world.machine.roomLeft()?.isWorthVacuum, true)
    await world.run([`${rows(500)} INSERT INTO t SELECT zeroblob(4000) FROM n`])
    assert.equal(world.machine.roomLeft()?.isWorthVacuum, false)
  } finally {
    await world.dispose()
  }
})

for (const elsewhere of ['nowhere', 'threads'] as const) {
  test(`a VACUUM that meets damage is answered with what SQLite says of it, and the node goes on with what it has (${elsewhere})`, async () => {
    const world = new TestMachine({ elsewhere })
    try {
      await world.run(['CREATE TABLE t (a)', `${rows(3_000)} INSERT INTO t SELECT 'row ' || i FROM n`])
      await world.machine.close()
      const bytes = readFileSync(world.path)
      // The kind of a page of its leaves.
      bytes.fill(0x77, 4096 * 8, 4096 * 8 + 1)
      writeFileSync(world.path, bytes)
      await world.reopen()
      assert.deepEqual(await world.run(['VACUUM']), [failed('database disk image is malformed')])
      assert.deepEqual(await world.run(['INSERT INTO t VALUES (1)']), [written(3001, 1)])
      assert.deepEqual(world.rows('SELECT a FROM t WHERE rowid = 1'), [['row 1']])
      assert.deepEqual(world.fatal, [])
    } finally {
      await world.dispose()
    }
  })
}

test('the table of sequences stays when no table needs it any more, with whatever stands in it', async () => {
  const log = [
    [
      'CREATE TABLE first (a)',
      'CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)',
      'INSERT INTO counted VALUES (7)',
      'CREATE TABLE last (a)',
    ],
    // As a dump may have it.
    ["INSERT INTO sqlite_sequence VALUES('nobody',5)"],
    ['DROP TABLE counted'],
    ['VACUUM'],
    [
      "INSERT INTO last SELECT rowid || type || name || coalesce((SELECT group_concat(name || seq) FROM sqlite_sequence), '') FROM sqlite_schema",
    ],
  ].map((statements) => command(statements))
  const prints = new Set<string>()
  for (const readFreeBytes of [() => Number.MAX_SAFE_INTEGER, () => 0]) {
    const world = new TestMachine({ readFreeBytes })
    try {
      await world.apply(logOf(log), [1])
      assert.deepEqual(world.rows('SELECT name, seq FROM sqlite_sequence'), [['nobody', 5]])
      prints.add(fingerprintDatabase(world.path).hash)
    } finally {
      await world.dispose()
    }
  }
  assert.equal(prints.size, 1)
})
