import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { ReadOptions } from '../api/reader.ts'
import type { SqlValue, StatementResult } from '../command/command.ts'
import { eventually } from '../replica/eventually.ts'
import type { EndedReadCosts } from './ended-reads.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine, withoutTime, type ShortStatement } from './test-machine.ts'
import { childrenOf, ps, startedBy, starterOf } from './test-processes.ts'

/** It only ends what hangs: the processes go behind everything else that a busy machine has to do, and take a hundred times as long there. */
const patientMs = 380_000
const mebibyte = 1024 * 1024
const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'
const counted = 'SELECT count(*) FROM t'
/** Short, but nobody knows it. */
const viewed = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT count(*) AS c FROM n'
const always = (ms: number): { readonly min: number; readonly max: number } => ({ min: ms, max: ms })
const seen = [rows(['c'], [3n])]
const logger = { info: () => {}, warn: () => {}, error: (_: unknown, text?: string) => assert.fail(text) }

interface World {
  readonly machine: TestMachine
  readonly reader: SqliteReader
  readonly query: (texts: readonly ShortStatement[], options?: Partial<ReadOptions>) => ReturnType<SqliteReader['query']>
  /** Results without times and tables, or the code of the problem. */
  readonly ask: (texts: readonly ShortStatement[], options?: Partial<ReadOptions>) => Promise<unknown>
}

async function withPool(
  limits: { readonly processesMax: number; readonly growthBytesMax?: number; readonly endedReadCosts?: EndedReadCosts },
  body: (world: World) => Promise<void>,
): Promise<void> {
  const machine = new TestMachine()
  const reader = new SqliteReader(machine.path, {
    onFatal: (problem) => assert.fail(problem.message),
    processes: { growthBytesMax: 96 * mebibyte, ...limits, logger },
  })
  const query: World['query'] = (texts, options) =>
    reader.query(
      texts.map((text) => {
        const [sql, ...values] = typeof text === 'string' ? [text] : text
        return { sql, parameters: { kind: 'positional', values } }
      }),
      { transaction: false, appliedIndexMin: 0, timeoutMs: patientMs, ...options },
    )
  const ask: World['ask'] = async (texts, options) => {
    const answer = await query(texts, options)
    return answer.ok ? answer.value.results.map(plain) : answer.problem.code
  }
  try {
    await machine.run(['CREATE TABLE t (a, b)', "INSERT INTO t VALUES (9007199254740993, x'00ff'), (1.5, 'zwölf')"])
    await body({ machine, reader, query, ask })
  } finally {
    reader.close()
    await machine.dispose()
  }
}

function plain(result: StatementResult): unknown {
  return withoutTime(
    result.kind === 'rows' ? { ...result, columns: result.columns.map(({ name, declaredType }) => ({ name, declaredType })) } : result,
  )
}

function rows(columns: readonly string[], ...values: readonly (readonly SqlValue[])[]): unknown {
  return { kind: 'rows', columns: columns.map((name) => ({ name, declaredType: '' })), rows: values }
}

const timeout = { kind: 'error', message: 'query timeout' }
const around = [rows(['count(*)'], [2n]), timeout, rows(['count(*)'], [2n])]
const noMemory = { kind: 'error', message: 'out of memory' }

test('a long read comes back from its process as it would from this thread', () =>
  withPool({ processesMax: 1 }, async ({ ask }) => {
    const texts = [
      'SELECT * FROM t WHERE a > -1',
      ['SELECT a FROM t WHERE b = ? AND a > 0', new Uint8Array([0, 255])],
      'SELECT nope FROM t',
      counted,
    ] as const
    assert.deepEqual(await ask(texts), [
      rows(['a', 'b'], [9007199254740993n, Buffer.from([0, 255])], [1.5, 'zwölf']),
      rows(['a'], [9007199254740993n]),
      { kind: 'error', message: 'no such column: nope' },
      rows(['count(*)'], [2n]),
    ])
    assert.equal(((await ask(texts, { transaction: true })) as unknown[]).length, 3)
  }))

test('an endless read is ended at its limit, the statements around it are answered, and the calling thread goes on meanwhile', () =>
  withPool({ processesMax: 1 }, async ({ query, ask }) => {
    let results: unknown
    // On a busy machine the short ones may not be over in so short a time either: then they are given more of it.
    for (const statementTimeoutMs of [300, 3_000, 30_000]) {
      let turns = 0
      const ticking = setInterval(() => (turns += 1), 1)
      const answer = await query([counted, endless, counted], { statementTimeoutMs })
      clearInterval(ticking)
      assert(answer.ok)
      results = answer.value.results.map(plain)
      assert.equal(answer.value.ended, 'statement_timeout')
      assert.ok(turns > 10, `${turns} turns of the loop`)
      if (isDeepStrictEqual(results, around)) break
    }
    assert.deepEqual(results, around)
    assert.deepEqual(await ask([endless, counted], { transaction: true, statementTimeoutMs: 50 }), [timeout])
    assert.equal(await ask([endless], { timeoutMs: 50 }), 'deadline')
    assert.deepEqual(await ask([counted]), [rows(['count(*)'], [2n])])
  }))

test('what takes too much memory is ended: values, sorts, groups', () =>
  withPool({ processesMax: 1 }, async ({ ask }) => {
    const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)'
    for (const sql of [
      ['SELECT length(randomblob(?))', 500_000_000n],
      `${many}, g(v, d) AS (SELECT 'xxxxxxxx', 1 UNION ALL SELECT v || v, d + 1 FROM g WHERE d < 27) SELECT length(v) FROM g WHERE d > 26`,
      `${many} SELECT length(group_concat(i)) FROM n`,
      `${many} SELECT i, printf('%100d', i) AS p FROM n ORDER BY p`,
    ] as const)
      assert.deepEqual(await ask([sql], { timeoutMs: patientMs }), [noMemory], String(sql))
    assert.deepEqual(await ask([counted]), [rows(['count(*)'], [2n])])
  }))

test('views of views, which would take hours to prepare, hold up neither this thread nor a process', () =>
  withPool({ processesMax: 1 }, async ({ machine, ask }) => {
    const views = Array.from({ length: 24 }, (_, level) =>
      level === 0
        ? 'CREATE VIEW v0 AS SELECT 1 AS x'
        : `CREATE VIEW v${level} AS SELECT a.x FROM v${level - 1} a, "V${level - 1}" b LIMIT 5`,
    )
    await machine.run(views)
    assert.deepEqual(await ask(['SELECT x FROM v2'], { statementTimeoutMs: patientMs }), [rows(['x'], [1n])])
    assert.deepEqual(await ask(['SELECT x FROM V23'], { statementTimeoutMs: 200 }), [timeout])
    assert.equal(await ask(['SELECT x FROM (SELECT * FROM v22)'], { timeoutMs: 200 }), 'deadline')
  }))

test('no client gets the last process: endless queries of one do not keep another waiting', () =>
  withPool({ processesMax: 2 }, async ({ ask }) => {
    const hostile = Array.from({ length: 5 }, () => ask([endless], { client: 'mallory', timeoutMs: 3_000 }))
    for (let n = 0; n < 3; n += 1)
      assert.deepEqual(await ask([counted], { client: 'alice', timeoutMs: patientMs }), [rows(['count(*)'], [2n])])
    assert.deepEqual(await Promise.all(hostile), ['deadline', 'deadline', 'deadline', 'deadline', 'deadline'])
  }))

for (const [how, text, timeoutMs, end] of [
  ['takes too long', endless, 1_000, 'deadline'],
  [
    'takes too much memory',
    'WITH RECURSIVE n(v) AS (SELECT zeroblob(1000000) UNION ALL SELECT v || v FROM n) SELECT count(*) FROM n',
    patientMs,
    [{ kind: 'error', message: 'out of memory' }],
  ],
] as const) {
  test(`a client of whose reads one ${how} has a quarter of the processes for a while`, () =>
    withPool({ processesMax: 4, endedReadCosts: { none: always(0), few: always(600_000) } }, async ({ ask }) => {
      const state = { isOver: false }
      await beginAtOnce(ask)
      assert.deepEqual(await ask([text], { client: 'mallory', timeoutMs }), end)
      const long = ask([endless], { client: 'mallory', isAbandoned: () => state.isOver, timeoutMs: 600_000 })
      const { behind } = await askBehindOthers(ask, {})
      state.isOver = true
      assert.equal(await long, 'deadline')
      assert.deepEqual(await behind, seen)
    }))
}

test('a client of whose reads one was ended has no process at all at first, and others have theirs', () =>
  withPool({ processesMax: 4, endedReadCosts: { none: always(600_000), few: always(0) } }, async ({ ask }) => {
    const state = { isOver: false }
    await beginAtOnce(ask)
    assert.equal(await ask([endless], { client: 'mallory', timeoutMs: 1_000 }), 'deadline')
    const { behind } = await askBehindOthers(ask, { isAbandoned: () => state.isOver })
    state.isOver = true
    assert.equal(await behind, 'deadline')
  }))

test('a read that nobody waits for any more is ended; more than the queue holds are refused', () =>
  withPool({ processesMax: 1 }, async ({ ask }) => {
    let isAbandoned = false
    const first = ask([endless], { isAbandoned: () => isAbandoned })
    const waiting = Array.from({ length: 600 }, () => ask([counted], { timeoutMs: patientMs }))
    isAbandoned = true
    assert.equal(await first, 'deadline')
    const answers = await Promise.all(waiting)
    // 384 of one client may wait, the first one among them until a process is there.
    assert.ok(answers.filter((answer) => answer === 'overloaded').length >= 215)
    assert.ok(answers.filter((answer) => typeof answer !== 'string').length >= 383)
  }))

test('one client cannot fill the queue for all', () =>
  withPool({ processesMax: 1 }, async ({ ask }) => {
    const state = { isOver: false }
    const hostile = Array.from({ length: 1_000 }, () => ask([endless], { client: 'mallory', isAbandoned: () => state.isOver }))
    const others = Array.from({ length: 100 }, () => ask([viewed], { client: 'alice', timeoutMs: patientMs }))
    state.isOver = true
    for (const answer of await Promise.all(others)) assert.deepEqual(answer, seen)
    assert.equal((await Promise.all(hostile)).filter((answer) => answer === 'overloaded').length, 1_000 - 384)
  }))

test('a large answer comes whole, one that is too large is refused, and neither holds up the calling thread', () =>
  // Room for the largest answer and what is garbage of it: it is the size of the answer that counts here.
  withPool({ processesMax: 1, growthBytesMax: 256 * mebibyte }, async ({ machine, ask }) => {
    const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)'
    const answer = (await ask([[`${many} SELECT i, printf('%100d', i) FROM n`, 100_000n]], { timeoutMs: patientMs })) as {
      rows: SqlValue[][]
    }[]
    assert.deepEqual(
      answer[0]?.rows.map(([i]) => i),
      Array.from({ length: 100_000 }, (_, at) => BigInt(at + 1)),
    )
    assert.equal(await ask([[`${many} SELECT zeroblob(1000000) FROM n`, 1_000n]], { timeoutMs: patientMs }), 'result_too_large')
    assert.equal(machine.fatal.length, 0)
  }))

test('a process that was killed by somebody else is replaced, and so is the database under all of them', () =>
  withPool({ processesMax: 2 }, async ({ machine, reader, ask }) => {
    assert.deepEqual(await ask([counted]), [rows(['count(*)'], [2n])])
    const endlessRead = ask([endless], { timeoutMs: 2_000 })
    await eventually(() => readers(process.pid).length > 0, 'a process runs')
    reader.suspend()
    machine.machine.suspend() // refuses while anybody has the database open
    machine.machine.resume()
    reader.resume()
    assert.deepEqual(await ask([counted], { timeoutMs: patientMs }), [rows(['count(*)'], [2n])])
    assert.equal(await endlessRead, 'deadline')
    for (const pid of readers(process.pid)) process.kill(pid, 'SIGKILL')
    assert.deepEqual(await ask([counted], { timeoutMs: patientMs }), [rows(['count(*)'], [2n])])
  }))

test('a process is ended at once for another database, although much has just been sent to one', () =>
  withPool({ processesMax: 1 }, async ({ machine, reader, ask }) => {
    assert.deepEqual(await ask([counted]), [rows(['count(*)'], [2n])])
    const large = ask([
      [
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT length(?) AS c FROM n LIMIT 1',
        new Uint8Array(8 * mebibyte),
      ],
    ])
    reader.suspend()
    machine.machine.suspend() // blocks until nobody has the database open
    machine.machine.resume()
    reader.resume()
    assert.deepEqual(await large, [rows(['c'], [BigInt(8 * mebibyte)])])
  }))

// To fork takes as long as a process is large, on the thread that asks: the node itself must never do it for a client.
test('no process that reads is forked by the node itself; when the one that forks them is killed, another one is, and reads go on', () =>
  withPool({ processesMax: 2 }, async ({ ask }) => {
    const state = { isAbandoned: false }
    const long = ask([endless], { timeoutMs: 600_000, isAbandoned: () => state.isAbandoned })
    await eventually(() => cpuSeconds(readers(process.pid)[0]) > 0.1, 'it reads')
    const starter = starterOf(process.pid) ?? 0
    const [before = 0] = readers(process.pid)
    assert.deepEqual(childrenOf(process.pid, 'reader-process'), [])
    process.kill(starter, 'SIGKILL')
    await eventually(() => readers(process.pid).some((pid) => pid !== before && cpuSeconds(pid) > 0.1), 'it reads again')
    state.isAbandoned = true
    assert.equal(await long, 'deadline')
    await eventually(() => !isAlive(before), 'what it had forked has ended')
  }))

test('the process that forks the others does not keep the room of large answers that it has passed on', () =>
  withPool({ processesMax: 4, growthBytesMax: 256 * mebibyte }, async ({ ask, query }) => {
    const large = `${endless.replace(/SELECT count.*/, '')} SELECT hex(zeroblob(7500000)), hex(zeroblob(7500001)) FROM n LIMIT 1`
    assert.deepEqual(await ask([viewed]), seen)
    const starter = starterOf(process.pid) ?? 0
    const before = bytesOf(starter)
    for (let n = 0; n < 2; n += 1)
      for (const answer of await Promise.all(['a', 'b', 'c'].map((client) => query([large], { client, timeoutMs: 600_000 }))))
        assert(answer.ok)
    await eventually(() => bytesOf(starter) < before + 96 * mebibyte, 'it has given it back')
  }))

test('a process in an endless read ends when the node is gone', async () => {
  const machine = new TestMachine()
  const program = `
    import { SqliteReader } from '${new URL('sqlite-reader.ts', import.meta.url).href}'
    const logger = { info() {}, warn() {}, error() {} }
    const reader = new SqliteReader(process.argv[1], { onFatal() {}, processes: { processesMax: 1, growthBytesMax: 2 ** 28, logger } })
    const options = { transaction: false, appliedIndexMin: 0, timeoutMs: 600_000 }
    void reader.query([{ sql: process.argv[2], parameters: { kind: 'positional', values: [] } }], options)`
  const node = spawn(process.execPath, ['--input-type=module', '-e', program, machine.path, endless], { stdio: 'inherit' })
  try {
    await eventually(() => node.pid !== undefined && cpuSeconds(readers(node.pid)[0]) > 0.5, 'it reads')
    const [reader = 0] = readers(node.pid ?? 0)
    node.kill('SIGKILL')
    await eventually(() => !isAlive(reader), 'it has ended')
  } finally {
    node.kill('SIGKILL')
    await machine.dispose()
  }
})

/** The process's main thread is inside of SQLite by then. */
function cpuSeconds(pid: number | undefined): number {
  if (pid === undefined) return 0
  const [minutes = 0, seconds = 0] = ps(['-o', 'time=', '-p', String(pid)])
    .trim()
    .split(':')
    .slice(-2)
    .map(Number)
  return minutes * 60 + seconds
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // there is no such process
  }
}

/** With a process that is there already: a read that has only waited for one costs nothing. */
async function beginAtOnce(ask: World['ask']): Promise<void> {
  assert.deepEqual(await ask([viewed], { client: 'mallory', timeoutMs: 600_000 }), seen)
}

/** Mallory asks; others who ask later are served, and mallory is not. */
async function askBehindOthers(
  ask: World['ask'],
  options: Pick<ReadOptions, 'isAbandoned'>,
): Promise<{ readonly behind: Promise<unknown> }> {
  let isAnswered = false
  const behind = ask([viewed], { client: 'mallory', timeoutMs: 600_000, ...options }).finally(() => (isAnswered = true))
  // Through a process of its own.
  for (let n = 0; n < 3; n += 1) assert.deepEqual(await ask([viewed], { client: 'alice', timeoutMs: 600_000 }), seen)
  assert.equal(isAnswered, false)
  return { behind }
}

function readers(of: number): readonly number[] {
  return startedBy(of, 'reader-process')
}

/** In memory. */
function bytesOf(pid: number): number {
  return Number(ps(['-o', 'rss=', '-p', String(pid)])) * 1024
}
