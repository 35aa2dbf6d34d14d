import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import Database from 'better-sqlite3'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { CheckFinding, CheckResult } from '../replica/check-report.ts'
import { eventually } from '../replica/eventually.ts'
import { openCheckCopy, pinForCheck } from './check-copy.ts'
import { decodeCheckMark, encodeCheckMark, type CheckMark } from './check-mark.ts'
import { DatabaseChecks } from './database-checks.ts'
import { TestMachine, type TestMachineOptions } from './test-machine.ts'

const silent = { info: () => {}, warn: () => {}, error: () => {} }

interface World {
  readonly machine: TestMachine
  readonly checks: DatabaseChecks
  readonly results: CheckResult[]
  readonly mark: (mark: CheckMark) => Promise<number>
  /** Behind the entry of that index. */
  readonly found: (index: number) => Promise<CheckFinding>
}

function markEntry(index: number, mark: CheckMark): Entry {
  return makeEntry({ index, term: 1, kind: 'state-hash', payload: encodeCheckMark(mark) })
}

async function withChecks(
  body: (world: World) => Promise<void>,
  options: { readonly walBytesMax?: number; readonly verdictMsMax?: number } & TestMachineOptions = {},
): Promise<void> {
  const machine = new TestMachine({ elsewhere: 'threads', ...options })
  const checks = new DatabaseChecks({
    databasePath: machine.path,
    isWanted: true,
    holdWal: (state) => machine.machine.holdWal(state),
    disown: (divergence) => machine.machine.disown(divergence),
    logger: silent,
    ...(options.walBytesMax === undefined ? {} : { walBytesMax: options.walBytesMax }),
    ...(options.verdictMsMax === undefined ? {} : { verdictMsMax: options.verdictMsMax }),
  })
  const results: CheckResult[] = []
  checks.onResult((result) => results.push(result))
  machine.machine.onCheckMark((mark, index) => checks.mark(mark, index))
  const mark = async (what: CheckMark): Promise<number> => {
    const index = machine.machine.appliedIndex + 1
    await machine.apply([markEntry(index, what)])
    return index
  }
  const found = async (index: number): Promise<CheckFinding> => {
    const ended = (): boolean => {
      const { finding } = checks.report()
      return finding.kind !== 'none' && finding.kind !== 'running' && finding.index === index
    }
    await eventually(ended, 'the check has ended')
    return checks.report().finding
  }
  try {
    await body({ machine, checks, results, mark, found })
  } finally {
    checks.close()
    await machine.dispose()
  }
}

async function fill(machine: TestMachine): Promise<void> {
  await machine.run(['CREATE TABLE t (id INTEGER PRIMARY KEY, a)', 'CREATE INDEX t_a ON t (a)'])
  for (let n = 1; n <= 50; n += 1) await machine.run([['INSERT INTO t VALUES (?, ?)', n, `text ${n}`]])
}

/** In the file itself, where a write that is in the WAL alone would hide it. */
function flip(path: string, text: string): void {
  const database = new Database(path)
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  const bytes = readFileSync(path)
  const at = bytes.lastIndexOf(text)
  assert(at > 0)
  bytes[at] = (bytes[at] ?? 0) ^ 0x10
  writeFileSync(path, bytes)
}

describe('a check of the whole database', () => {
  test('finds the same in databases that hold the same, whatever is written while it reads, and stands exactly behind its entry', async () => {
    const seen: CheckFinding[] = []
    for (const pause of [0, 20]) {
      await withChecks(async ({ machine, checks, mark, found }) => {
        assert.equal(checks.report().isWanted, true)
        await fill(machine)
        // In the same group as what comes behind it.
        const index = machine.machine.appliedIndex + 1
        await machine.apply([markEntry(index, { kind: 'begin' })])
        for (let n = 100; n < 120 + pause; n += 1) await machine.run([['INSERT INTO t VALUES (?, ?)', n, 'later']])
        const finding = await found(index)
        assert(finding.kind === 'found' && finding.content !== undefined, JSON.stringify(finding))
        seen.push(finding)
        assert.deepEqual(finding.faults, [])
        assert.equal(checks.report().isWanted, false)
        assert.equal(existsSync(join(dirname(machine.path), 'check')), false, 'nothing is left')
        assert.equal(checks.result(), 'waiting')
        await mark({ kind: 'verdict', index, content: finding.content })
        assert.equal(checks.result(), 'agrees')
        assert.deepEqual(machine.divergences, [])
      })
    }
    assert.deepEqual(seen[0], seen[1])
  })

  test('whoever has something else than most stops, durably, and says what both have', () =>
    withChecks(async ({ machine, checks, results, mark, found }) => {
      await fill(machine)
      const index = await mark({ kind: 'begin' })
      const finding = await found(index)
      assert(finding.kind === 'found')
      const expected = 'ab'.repeat(32)
      await mark({ kind: 'verdict', index, content: expected })
      await eventually(() => machine.divergences.length > 0, 'it stops')
      assert.deepEqual(machine.divergences, [{ index, own: finding.content, expected }])
      assert.deepEqual([results, machine.machine.isInDoubt], [['differs'], true])
      checks.close()
      await machine.reopen()
      await eventually(() => machine.divergences.length > 1, 'it says so again')
      assert.equal(machine.machine.isInDoubt, true)
    }))

  test('a verdict that comes before this node has looked is judged when it has', () =>
    withChecks(async ({ machine, mark }) => {
      await fill(machine)
      const index = await mark({ kind: 'begin' })
      await mark({ kind: 'verdict', index, content: '00'.repeat(32) })
      await eventually(() => machine.divergences.length > 0, 'it stops')
    }))

  test('a verdict without a majority destroys nothing', () =>
    withChecks(async ({ machine, results, mark, found }) => {
      await fill(machine)
      const index = await mark({ kind: 'begin' })
      await found(index)
      await mark({ kind: 'verdict', index, content: undefined })
      await machine.run(["INSERT INTO t VALUES (1000, 'goes on')"])
      assert.deepEqual([results, machine.divergences], [['unclear'], []])
    }))

  test('one that is given up because too few could look has failed, whether this node has looked by then or not', () =>
    withChecks(async ({ machine, checks, results, mark, found }) => {
      await fill(machine)
      const first = await mark({ kind: 'begin' })
      await found(first)
      await mark({ kind: 'given-up', index: first })
      assert.deepEqual([results, checks.result(), machine.divergences], [['failed'], 'failed', []])
      const second = await mark({ kind: 'begin' })
      await mark({ kind: 'given-up', index: second })
      await eventually(() => checks.result() === 'failed', 'it is known when it has looked')
      const finding = { kind: 'failed', index: second, reason: 'too few nodes could look at theirs' }
      assert.deepEqual([results, checks.report().finding, checks.report().verdictIndex], [['failed', 'failed'], finding, second])
    }))

  test('a verdict that never comes is not waited for for ever', () =>
    withChecks(
      async ({ machine, checks, results, mark }) => {
        await fill(machine)
        const index = await mark({ kind: 'begin' })
        await eventually(() => checks.result() === 'failed', 'it is given up')
        const finding = { kind: 'failed', index, reason: 'no verdict has come' }
        assert.deepEqual([results, checks.report().finding, machine.divergences], [['failed'], finding, []])
      },
      { verdictMsMax: 1 },
    ))

  for (const [what, text] of [
    ['a value in a table', 'text 33'],
    ['an index', 'text 7'],
  ] as const)
    test(`finds a flipped byte that nobody has read since: ${what}`, () =>
      withChecks(async ({ machine, mark, found }) => {
        await fill(machine)
        const first = await found(await mark({ kind: 'begin' }))
        await machine.machine.close()
        flip(machine.path, text)
        await machine.reopen()
        const checks = new DatabaseChecks({
          databasePath: machine.path,
          isWanted: false,
          holdWal: () => {},
          disown: () => {},
          logger: silent,
        })
        machine.machine.onCheckMark((told, index) => checks.mark(told, index))
        await mark({ kind: 'begin' })
        await eventually(() => checks.report().finding.kind === 'found', 'it has looked')
        const { finding } = checks.report()
        checks.close()
        assert(first.kind === 'found' && finding.kind === 'found')
        assert(finding.faults.length > 0 || finding.content !== first.content, JSON.stringify(finding))
      }))

  test('gives up when too much is written meanwhile, says so, and lets the WAL be emptied again', () =>
    withChecks(
      async ({ machine, checks, results, mark, found }) => {
        await fill(machine)
        const index = await mark({ kind: 'begin' })
        const finding = await found(index)
        assert(finding.kind === 'failed' && finding.reason === 'too much was written meanwhile', JSON.stringify(finding))
        assert.deepEqual([results, checks.report().isWanted], [['failed'], true])
      },
      { walBytesMax: 1 },
    ))

  test('one that begins takes the place of one that is under way; a database that is replaced ends it', () =>
    withChecks(async ({ machine, checks, results, mark, found }) => {
      await fill(machine)
      await mark({ kind: 'begin' })
      const second = await mark({ kind: 'begin' })
      assert.equal((await found(second)).kind, 'found')
      await mark({ kind: 'begin' })
      checks.suspend('other')
      machine.machine.suspend()
      machine.machine.resume()
      assert.deepEqual([results, checks.report().finding], [['failed', 'failed'], { kind: 'none' }])
    }))
})

test('the copy that is checked is never written into the database, also when nobody else has it open any more', async () => {
  const machine = new TestMachine()
  const directory = join(dirname(machine.path), 'check')
  try {
    await fill(machine)
    const pin = pinForCheck({ databasePath: machine.path, directory })
    await machine.run(["INSERT INTO t VALUES (77, 'behind the pin')"])
    pin.close()
    await machine.machine.close()
    const before = readFileSync(machine.path)
    const copy = openCheckCopy(directory)
    copy.close()
    assert(before.equals(readFileSync(machine.path)))
    await machine.reopen()
    assert.deepEqual(machine.rows('SELECT a FROM t WHERE id = 77'), [['behind the pin']])
  } finally {
    await machine.dispose()
  }
})

test('a mark is read as it was written, and anything else is none', () => {
  for (const mark of [
    { kind: 'begin' },
    { kind: 'verdict', index: 2 ** 40, content: '0f'.repeat(32) },
    { kind: 'verdict', index: 1, content: undefined },
    { kind: 'given-up', index: 2 ** 40 },
  ] as const)
    assert.deepEqual(decodeCheckMark(encodeCheckMark(mark)), mark)
  for (const bytes of [[], [1], [2], [2, 3], [2, 1, 0], [3, 1], [2, 2, 0], [2, 2, 255, 255, 255, 255, 0, 0, 0, 0]])
    assert.equal(decodeCheckMark(new Uint8Array(bytes)), undefined)
})
