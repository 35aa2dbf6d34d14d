import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import type { RehearsalEnd, RehearsalLimit, RehearsedWrite } from '../api/rehearsal.ts'
import { encodeCommand } from '../command/command-codec.ts'
import { meanwhile } from '../replica/eventually.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { Rehearsals, type RehearsalsOptions } from './rehearsals.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine, command, type ShortStatement } from './test-machine.ts'

const logger = { info: () => {}, warn: () => {}, error: (_: unknown, text?: string) => assert.fail(text) }
const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const growthBytesMax = 96 * 1024 * 1024
const processor: RehearsalLimit = { kind: 'processor', ms: 1_000 }
const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT i FROM n WHERE i < 0'
const growing = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT i FROM n'

interface World {
  readonly machine: TestMachine
  readonly rehearsals: Rehearsals
  readonly reader: SqliteReader
  readonly passed: number[]
  readonly rehearse: (writes: readonly (readonly ShortStatement[])[], limit?: RehearsalLimit) => Promise<RehearsalEnd>
}

async function withRehearsals(
  body: (world: World) => Promise<void>,
  options: Partial<Pick<RehearsalsOptions, 'walBytesMax' | 'walBytesLong' | 'program' | 'logger'>> = {},
): Promise<void> {
  const machine = new TestMachine()
  const reader = new SqliteReader(machine.path, { onFatal: (problem) => assert.fail(problem.message) })
  const judge: Rehearsals['judge'] = (statements) => reader.judge(statements)
  const rehearsals = new Rehearsals({ databasePath: machine.path, judge, growthBytesMax, logger, ...options })
  const passed: number[] = []
  const rehearse: World['rehearse'] = (writes, limit = processor) => {
    passed.length = 0
    const encoded = writes.map((statements) => ({ payload: encodeCommand(command(statements)), limit }))
    return rehearsals.rehearse(encoded, (at) => passed.push(at))
  }
  try {
    await machine.run(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)'])
    await body({ machine, rehearsals, reader, passed, rehearse })
  } finally {
    rehearsals.close()
    reader.close()
    await machine.dispose()
  }
}

function problemOf(end: RehearsalEnd): unknown {
  return end.kind === 'ended' ? [end.at, end.problem.code, end.problem.message] : end.kind
}

test('writes pass, each on what those before it have done, and nothing of them is in the database', () =>
  withRehearsals(async ({ machine, rehearsals, rehearse }) => {
    const before = fingerprintDatabase(machine.path)
    const joining = ['INSERT INTO t SELECT count(*) FROM t a, t b, t c, t d, t e']
    const encoded = (statements: readonly ShortStatement[], ms: number): RehearsedWrite => ({
      payload: encodeCommand(command(statements)),
      limit: { kind: 'clock', ms },
    })
    const doubling = Array.from({ length: 6 }, () => encoded(['INSERT INTO t SELECT a FROM t'], 60_000))
    const passed: number[] = []
    // On the rows of all six the last one has a thousand million of them to count, which no machine does in its time; on one row it has one.
    assert.deepEqual(problemOf(await rehearsals.rehearse([...doubling, encoded(joining, 400)], (at) => passed.push(at))), [
      6,
      'statement_timeout',
      'execute timeout',
    ])
    assert.deepEqual(passed, [0, 1, 2, 3, 4, 5])
    assert.equal(problemOf(await rehearse([joining, ['INSERT INTO nope VALUES (1)']])), 'done')
    assert.deepEqual(fingerprintDatabase(machine.path), before)
  }))

test('what never ends, takes too much memory or too much of the disk is ended; entries are applied meanwhile', () =>
  withRehearsals(async ({ machine, rehearse }) => {
    const running = rehearse([[endless]])
    assert.deepEqual(await machine.run(['INSERT INTO t VALUES (2)']), [{ kind: 'written', lastInsertId: 2n, rowsAffected: 1 }])
    assert.deepEqual(problemOf(await running), [0, 'statement_timeout', 'execute timeout'])
    assert.deepEqual(problemOf(await rehearse([[growing]])), [0, 'statement_timeout', 'execute timeout'])
    assert.deepEqual(
      problemOf(
        await rehearse([['INSERT INTO t VALUES (1)', "INSERT INTO t SELECT length(printf('%.*c', 500000000, 'x'))"]], {
          kind: 'clock',
          ms: 60_000,
        }),
      ),
      [0, 'statement_out_of_memory', 'out of memory'],
    )
    assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
    assert.deepEqual(machine.rows('SELECT a FROM t'), [[1], [2]])
  }))

test('what has passed takes no more memory where it is applied than it might have where it was tried', () =>
  withRehearsals(async ({ machine, rehearse }) => {
    const patient: RehearsalLimit = { kind: 'clock', ms: 120_000 }
    await machine.run(['CREATE TABLE s (id INTEGER PRIMARY KEY, a)'])
    let refused = 0
    let applied = 0
    for (const rows of [2_000, 8_000, 16_000]) {
      const filled = await machine.run([
        'DELETE FROM s',
        `INSERT INTO s (a) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${rows}) SELECT zeroblob(10000) FROM n`,
      ])
      assert.deepEqual(filled.at(-1), { kind: 'written', lastInsertId: BigInt(rows), rowsAffected: rows })
      // The rows to be sorted, or those that a failure would bring back, are kept in memory.
      for (const sql of ['INSERT INTO s (a) SELECT a FROM s ORDER BY a, id', 'UPDATE OR REPLACE s SET a = zeroblob(10001)']) {
        const end = problemOf(await rehearse([[sql]], patient))
        if (end !== 'done') {
          assert.deepEqual(end, [0, 'statement_out_of_memory', 'out of memory'])
          refused += 1
          continue
        }
        // https://www.kernel.org/doc/html/latest/filesystems/proc.html: forgets the peak.
        writeFileSync('/proc/self/clear_refs', '5')
        const before = memoryBytes('VmRSS')
        await machine.run([sql])
        applied += 1
        // Some room for what the heap of this process does meanwhile.
        assert.ok(memoryBytes('VmHWM') - before < growthBytesMax + 32 * 1024 * 1024, `${rows} rows, ${sql}`)
      }
    }
    assert.ok(refused > 0 && applied > 1, `${refused} refused, ${applied} applied`)
  }))

/** Of this process, now or at its peak. */
function memoryBytes(what: 'VmRSS' | 'VmHWM'): number {
  const [, kibibytes] = new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kibibytes) * 1024
}

test('what would be too large for the disk is ended', () =>
  withRehearsals(
    async ({ rehearse }) => {
      const made = `CREATE TABLE u AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(1000) FROM n`
      const end = problemOf(await rehearse([[made]], { kind: 'clock', ms: 60_000 }))
      assert.deepEqual(end, [0, 'write_too_large', 'the write is too large for the disk, or for one write; nothing was changed'])
    },
    { walBytesMax: 32 * 1024 * 1024 },
  ))

for (const end of ['emptied', 'held by a read that lasts'] as const)
  test(`with a long WAL it waits until that is emptied, and does not wait for ever: ${end}`, () =>
    withRehearsals(
      async ({ machine, rehearsals, passed, rehearse }) => {
        assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
        await machine.run(['INSERT INTO t VALUES (zeroblob(300000))'])
        const walBytes = (): number => statSync(`${machine.path}-wal`).size
        const other = new Database(machine.path)
        const reader = new Database(machine.path, { readonly: true })
        try {
          if (end !== 'emptied') reader.exec('BEGIN; SELECT count(*) FROM t')
          const rehearsed = rehearse([['INSERT INTO t SELECT a FROM t']]).then((how) => ({ how, walBytes: walBytes() }))
          await meanwhile()
          assert.deepEqual(passed, [])
          other.pragma('wal_checkpoint(TRUNCATE)')
          const { how, walBytes: bytes } = await rehearsed
          assert.equal(how.kind, 'done')
          assert.equal(bytes > 0, end !== 'emptied')
          // Not again for every write, as long as that read lasts.
          if (end !== 'emptied') assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
        } finally {
          other.close()
          reader.close()
        }
        rehearsals.close()
      },
      { walBytesLong: 100_000 },
    ))

test('whoever asks first is told when one can begin at once', () =>
  withRehearsals(async ({ rehearsals, rehearse }) => {
    await rehearsals.ready()
    await rehearsals.ready()
    assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
    const waiting = rehearsals.ready()
    rehearsals.close()
    await waiting
    await rehearsals.ready()
  }))

test('a write is tried from its first statement on, also while an entry of several transactions is half applied', () =>
  withRehearsals(async ({ machine, rehearse }) => {
    const other = new Database(machine.path)
    other.exec('UPDATE _securesql_state SET statements_done = 1')
    other.close()
    assert.deepEqual(problemOf(await rehearse([[endless, 'INSERT INTO t VALUES (1)']])), [0, 'statement_timeout', 'execute timeout'])
  }))

test('where no copy can be made it is tried again for a while; then nothing passes, and the next one is tried again', () => {
  let onFailure = (): void => {}
  return withRehearsals(
    async ({ machine, passed, rehearse }) => {
      const place = join(dirname(machine.path), 'rehearsal')
      assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
      rmSync(place, { recursive: true })
      assert.deepEqual([(await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, passed], ['unavailable', []])
      // After its first failure, and before it is tried again.
      onFailure = () => mkdirSync(place, { recursive: true })
      assert.deepEqual([(await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, passed], ['done', [0]])
    },
    { logger: { ...quiet, warn: () => onFailure() } },
  )
})

test('a process that does not start, or a database that cannot be opened, ends the rehearsal and not the node', async () => {
  const program = new URL('no-such-program.ts', import.meta.url)
  await withRehearsals(
    async ({ rehearsals, passed, rehearse }) => {
      for (let n = 0; n < 2; n += 1) assert.deepEqual([(await rehearse([[endless]])).kind, passed], ['unavailable', []])
      await rehearsals.ready()
    },
    { program, logger: quiet },
  )
  await withRehearsals(
    async ({ machine, passed, rehearse }) => {
      const away = `${machine.path}-away`
      renameSync(machine.path, away)
      assert.deepEqual([(await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, passed], ['unavailable', []])
      renameSync(away, machine.path)
      assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
    },
    { logger: quiet },
  )
})

test('a process that is killed while it makes its copy is no fault of the write', () =>
  withRehearsals(
    async ({ rehearse }) => {
      assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']], { kind: 'clock', ms: 60_000 })).kind, 'unavailable')
    },
    { program: new URL('test-dying-rehearsal.ts', import.meta.url), logger: quiet },
  ))

test('statements that roll everything back, fail, or change the schema are rehearsed as they are applied', () =>
  withRehearsals(async ({ machine, passed, rehearse }) => {
    const end = await rehearse([
      ['CREATE TABLE u (id INTEGER PRIMARY KEY, c UNIQUE)', 'INSERT INTO u (c) VALUES (1)'],
      ['INSERT OR ROLLBACK INTO u (c) VALUES (1)'],
      ['CREATE INDEX i ON u (c)', 'ALTER TABLE u RENAME TO v'],
      ["INSERT INTO v (c) VALUES (random()), (datetime('now'))"],
    ])
    assert.deepEqual([problemOf(end), passed], ['done', [0, 1, 2, 3]])
    assert.deepEqual(machine.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'u'"), [[0]])
  }))

test('views of views are refused where they would take long to write out, which SQLite does to list tables', () =>
  withRehearsals(async ({ rehearse }) => {
    const views = (levels: number) =>
      Array.from({ length: levels }, (_, n) =>
        n === 0 ? 'CREATE VIEW v0 AS SELECT 1 AS x' : `CREATE VIEW v${n} AS SELECT a.x FROM v${n - 1} a, v${n - 1} b LIMIT 5`,
      )
    assert.equal((await rehearse([views(8)])).kind, 'done')
    const refused = [0, 'statement_refused', 'not allowed: views of views that would be written out more than 512 times']
    assert.deepEqual(problemOf(await rehearse([views(30)])), refused)
    const nested = (depth: number): string => (depth === 0 ? 'SELECT 1 AS x' : `SELECT x FROM (${nested(depth - 1)})`)
    const chain = Array.from({ length: 60 }, (_, n) => `CREATE VIEW n${n} AS ${nested(10)} UNION SELECT x FROM n${n + 1}`)
    assert.deepEqual(problemOf(await rehearse([chain])), refused)
    assert.equal((await rehearse([chain.slice(20)])).kind, 'done')
    assert.equal((await rehearse([views(8)])).kind, 'done')
  }))

test('the database can be replaced while a rehearsal runs: that one is interrupted, the next ones are not', () =>
  withRehearsals(async ({ machine, rehearsals, reader, passed, rehearse }) => {
    const running = rehearse([[endless]])
    for (const user of [rehearsals, reader, machine.machine]) user.suspend()
    for (const user of [machine.machine, reader, rehearsals]) user.resume()
    assert.deepEqual(await running, { kind: 'interrupted' })
    assert.equal((await rehearse([['INSERT INTO t SELECT a FROM t']])).kind, 'done')
    // Nothing is begun in between.
    rehearsals.suspend()
    const waiting = rehearse([['INSERT INTO t SELECT a FROM t']])
    await meanwhile()
    assert.deepEqual(passed, [])
    rehearsals.resume()
    assert.equal((await waiting).kind, 'done')
  }))

test('judging: what is bounded costs little, what is not costs anything, and a change of the schema is told', () =>
  withRehearsals(async ({ machine, rehearsals }) => {
    const judge = (sql: string) => rehearsals.judge(command([sql]).statements)
    assert.ok(judge('INSERT INTO t VALUES (1)').cost < 100)
    assert.equal(judge('UPDATE t SET a = 1').cost, Infinity)
    assert.deepEqual(judge('INSERT INTO nope VALUES (1)'), { cost: 0, changesSchema: false })
    for (const sql of [
      'CREATE TABLE u (a)',
      'DROP TABLE t',
      'INSERT INTO t VALUES (1); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END',
    ])
      assert.equal(judge(sql).changesSchema, true, sql)
    await machine.run([`CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO t SELECT a + 1 FROM t; END`])
    assert.equal(judge('INSERT INTO t VALUES (1)').cost, Infinity)
  }))
