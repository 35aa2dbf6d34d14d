import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { encodeCommand } from '../command/command-codec.ts'
import { encodeLoadStep, type LoadStep } from '../command/load-step.ts'
import { makeEntry, type Entry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { command, onMachine, written, type TestMachine, type TestMachineOptions } from './test-machine.ts'

const members = virtualMembership(['n1', 'n2', 'n3'])
const id = '00112233445566778899aabbccddeeff'
const otherId = 'ffeeddccbbaa99887766554433221100'
const accepted = [written(0, 0)]
const refused = (code: string): unknown => [{ kind: 'error', message: code }]

/** The bytes of a database file as a client would send it. */
function fileOf(statements: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'load-'))
  const path = join(directory, 'file.sqlite')
  const database = new Database(path)
  database.exec(statements)
  database.close()
  const bytes = readFileSync(path)
  rmSync(directory, { recursive: true })
  return bytes
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function stepsOf(file: Buffer, options: { readonly id?: string; readonly chunkBytes?: number; readonly hash?: string } = {}): LoadStep[] {
  const { chunkBytes = 5_000, hash = sha256(file) } = options
  const named = { id: options.id ?? id }
  const steps: LoadStep[] = [{ kind: 'load-begin', ...named, bytes: file.length }]
  for (let offset = 0; offset < file.length; offset += chunkBytes)
    steps.push({ kind: 'load-chunk', ...named, offset, data: file.subarray(offset, offset + chunkBytes) })
  steps.push({ kind: 'load-end', ...named, bytes: file.length, hash, onto: 'anything' })
  return steps
}

/** A log: the membership, then what is given. */
function logOf(list: readonly (LoadStep | readonly string[])[]): readonly Entry[] {
  const rest = list.map((one, at) =>
    makeEntry({ index: at + 2, term: 1, kind: 'command', payload: 'kind' in one ? encodeLoadStep(one) : encodeCommand(command(one)) }),
  )
  return [makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(members) }), ...rest]
}

const file = fileOf(
  `CREATE TABLE loaded (n INTEGER PRIMARY KEY, x BLOB); WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < 100) INSERT INTO loaded SELECT n, randomblob(500) FROM s`,
)
const before = ['CREATE TABLE old (n)', 'INSERT INTO old VALUES (1)'] as const
const after = ['INSERT INTO loaded VALUES (1000, NULL)'] as const
const wholeLog = logOf([before, ...stepsOf(file), after])

const withMachine = (options: TestMachineOptions, body: (world: TestMachine) => Promise<void>): Promise<void> => onMachine(body, options)

for (const elsewhere of ['nowhere', 'threads'] as const) {
  test(`a file that came through the log is the database from its last step on (${elsewhere})`, async () => {
    await withMachine({ elsewhere }, async (world) => {
      await world.apply(wholeLog)
      assert.equal(world.machine.appliedIndex, wholeLog.length)
      assert.deepEqual(world.machine.membership, members)
      assert.deepEqual(world.rows('SELECT count(*), max(n) FROM loaded'), [[101, 1000]])
      assert.deepEqual(world.rows("SELECT count(*) FROM sqlite_schema WHERE name IN ('old', '_securesql_load', '_securesql_load_chunk')"), [
        [0],
      ])
      assert.deepEqual(world.results(wholeLog.length - 1), accepted)
      assert.deepEqual(world.results(wholeLog.length), [written(1000, 1)])
      await world.reopen()
      assert.equal(world.machine.appliedIndex, wholeLog.length)
      assert.deepEqual(world.rows('SELECT count(*) FROM loaded'), [[101]])
      assert(!existsSync(join(dirname(world.path), 'snapshots', 'install.json')))
    })
  })
}

test('every node has the same content and the same hash, however its entries were grouped, and whatever was restarted', async () => {
  const seen = new Set<string>()
  for (const [elsewhere, sizes, restarts] of [
    ['nowhere', [wholeLog.length], false],
    ['nowhere', [1], true],
    ['threads', [3], false],
    ['threads', [7, 2, 30], true],
  ] as const) {
    await withMachine({ elsewhere }, async (world) => {
      const middle = 9
      await world.apply(wholeLog.slice(0, middle), sizes)
      if (restarts) await world.reopen()
      await world.apply(wholeLog.slice(middle), sizes)
      if (restarts) await world.reopen()
      const next = makeEntry({
        index: wholeLog.length + 1,
        term: 1,
        kind: 'command',
        payload: encodeCommand(command(['DELETE FROM loaded WHERE n = 5'])),
      })
      await world.apply([next])
      seen.add(`${fingerprintDatabase(world.path).hash} ${Buffer.from(world.machine.stateHash() ?? []).toString('hex')}`)
    })
  }
  assert.equal(seen.size, 1)
})

test('a step that is sent again changes nothing, and one that is missing is told', async () => {
  await withMachine({}, async (world) => {
    const [begin, ...rest] = stepsOf(file)
    const [first, second] = rest
    const end = rest.at(-1)
    assert(begin !== undefined && first !== undefined && second !== undefined && end !== undefined)
    const log = logOf([begin, begin, first, first, end, ...rest.slice(2, 3), second, first, ...rest.slice(2), end])
    await world.apply(log, [1])
    const answers = log.slice(1).map(({ index }) => world.results(index))
    const missing = refused('load_gap')
    assert.deepEqual(answers.slice(0, 8), [accepted, accepted, accepted, accepted, missing, missing, accepted, accepted])
    assert.deepEqual(
      answers.slice(8),
      Array.from({ length: answers.length - 8 }, () => accepted),
    )
    assert.deepEqual(world.rows('SELECT count(*) FROM loaded'), [[100]])
  })
})

test('a file that may only take the place of nothing is refused where there is a table, even an empty one, and taken where all are gone', async () => {
  const onto = (steps: readonly LoadStep[]): readonly LoadStep[] =>
    steps.map((step) => (step.kind === 'load-end' ? { ...step, onto: 'nothing' } : step))
  for (const elsewhere of ['nowhere', 'threads'] as const) {
    await withMachine({ elsewhere }, async (world) => {
      const steps = onto(stepsOf(file))
      const end = steps.at(-1)
      assert(end !== undefined)
      const log = logOf([
        ['CREATE TABLE old (n INTEGER PRIMARY KEY AUTOINCREMENT)', 'INSERT INTO old VALUES (7)', 'DELETE FROM old'],
        ...steps,
        ['DROP TABLE old'],
        ...onto(stepsOf(file, { id: otherId })),
        after,
      ])
      const refusedAt = 2 + steps.length
      await world.apply(log)
      assert.deepEqual(world.results(refusedAt), refused('load_onto_something'))
      assert.deepEqual(world.results(log.length), [written(1000, 1)])
      assert.deepEqual(world.rows('SELECT count(*) FROM loaded'), [[101]])
      // A node that did not hear of it sends it once more.
      const again = makeEntry({ index: log.length + 1, term: 1, kind: 'command', payload: encodeLoadStep({ ...end, id: otherId }) })
      await world.apply([again])
      assert.deepEqual(world.results(log.length + 1), accepted)
    })
  }
})

test('the next load replaces one that nobody has ended, and steps of the older one are refused', async () => {
  await withMachine({}, async (world) => {
    const older = stepsOf(fileOf('CREATE TABLE older (n)'), { id: otherId })
    const [begin, ...rest] = stepsOf(file)
    assert(begin !== undefined)
    const late = older.slice(1)
    const log = logOf([before, ...older.slice(0, 2), begin, ...late, ...rest])
    await world.apply(log)
    for (let at = 0; at < late.length; at += 1) assert.deepEqual(world.results(6 + at), refused('load_replaced'))
    assert.deepEqual(world.rows("SELECT name FROM sqlite_schema WHERE name IN ('old', 'older', 'loaded')"), [['loaded']])
  })
})

test('a load that is given up leaves the database as it was', async () => {
  await withMachine({}, async (world) => {
    const abort: LoadStep = { kind: 'load-abort', id }
    const end = stepsOf(file).at(-1)
    assert(end !== undefined)
    await world.apply(logOf([before, ...stepsOf(file).slice(0, -1), abort, end, abort]))
    assert.deepEqual(world.results(world.machine.appliedIndex - 1), refused('load_replaced'))
    assert.deepEqual(world.rows("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_securesql\\_s%' ESCAPE '\\'"), [['old']])
  })
})

for (const elsewhere of ['nowhere', 'threads'] as const) {
  test(`what is not the announced file, or no database, is answered and changes nothing (${elsewhere})`, async () => {
    await withMachine({ elsewhere }, async (world) => {
      const noise = randomBytes(20_000)
      const wrong = stepsOf(file, { hash: 'ab'.repeat(32), chunkBytes: 40_000 })
      const garbage = stepsOf(noise, { id: otherId, chunkBytes: 40_000 })
      const log = logOf([before, ...wrong, ...garbage, ['INSERT INTO old VALUES (2)']])
      await world.apply(log)
      assert.deepEqual(world.results(3 + wrong.length - 1), refused('load_mismatch'))
      assert.deepEqual(world.results(log.length - 1), refused('load_unusable'))
      assert.deepEqual(world.rows('SELECT n FROM old'), [[1], [2]])
      assert(!existsSync(join(dirname(world.path), 'snapshots', 'loading.sqlite')))
    })
  })
}

test('a table of a loaded file is guarded and counted like any other', async () => {
  await withMachine({}, async (world) => {
    await world.apply(wholeLog)
    const [answer] = await world.run(['INSERT INTO loaded VALUES (9223372036854775807, NULL)'])
    assert.match(JSON.stringify(answer), /rowid 9223372036854775807 is not allowed/)
    assert.deepEqual(await world.run(['CREATE TABLE more (n)', 'INSERT INTO more VALUES (1)']), [written(1000, 0), written(1, 1)])
  })
})
