// What is long is known to be long without reading or preparing all of it, on the thread that sends heartbeats.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import { makeEntry } from '../raft/entry.ts'
import { noLimits } from './apply-limits.ts'
import { EntryApplier } from './entry-applier.ts'
import { ReadSession } from './read-session.ts'
import { TestMachine, command, logOf } from './test-machine.ts'
import { openWriteConnection } from './write-connection.ts'

const inPlace = { budgetMs: Infinity, costMax: 1_000_000_000 }
const insert = 'INSERT INTO t VALUES (1);'

async function machineWithTable(context: TestContext): Promise<TestMachine> {
  const machine = new TestMachine()
  context.after(() => machine.dispose())
  await machine.run(['CREATE TABLE t (a)'])
  return machine
}

/** How many texts SQLite has been given meanwhile. */
function countPrepared(context: TestContext, work: () => void): number {
  const prepare = context.mock.method(Database.prototype, 'prepare')
  try {
    work()
    return prepare.mock.callCount()
  } finally {
    prepare.mock.restore()
  }
}

test('a text of very many statements is not prepared to be judged', async (context) => {
  const machine = await machineWithTable(context)
  const session = new ReadSession(machine.path)
  context.after(() => session.close())
  const { statements } = command([insert.repeat(2_000)])
  session.judge(command(['SELECT 1']).statements, undefined)
  // Each look at the clock is a millisecond later than the one before: however fast the machine is, the time is over at some tens of them.
  let nowMs = 0
  const clock = context.mock.method(performance, 'now', () => (nowMs += 1))
  const prepared = countPrepared(context, () => {
    assert.deepEqual(session.judge(statements, undefined), { cost: Infinity, changesSchema: false })
  })
  clock.mock.restore()
  assert.ok(prepared < 200, `${prepared} were prepared`)
})

test('whether a long text changes the schema is seen without preparing it, by the words with which its statements begin', async (context) => {
  const machine = await machineWithTable(context)
  const session = new ReadSession(machine.path)
  context.after(() => session.close())
  const long = insert.repeat(5_000)
  for (const [end, changesSchema] of [
    ['', false],
    ["INSERT INTO t VALUES ('please create or drop a table')", false],
    ['-- drop\nINSERT INTO t VALUES (1)', false],
    ['CREATE TABLE u (a)', true],
    ['/**/dRoP TABLE t', true],
    ['ALTER TABLE t ADD b', true],
    ['REINDEX', true],
    ['ANALYZE', true],
    ['PRAGMA foreign_keys = OFF', true],
  ] as const) {
    const prepared = countPrepared(context, () => {
      assert.deepEqual(session.judge(command([`${long} ${end}; ${insert}`]).statements, {}), { cost: Infinity, changesSchema }, end)
    })
    assert.ok(prepared < 10, `${prepared} were prepared`)
  }
})

for (const [title, statements] of [
  ['one text of 257 statements', [insert.repeat(257)]],
  ['257 statements', Array.from({ length: 257 }, () => insert)],
  ['texts of more than 128 Ki characters', Array.from({ length: 3 }, () => `INSERT INTO t VALUES ('${'x'.repeat(60_000)}')`)],
] as const)
  test(`${title} are applied elsewhere, and nothing is prepared to find that out`, async (context) => {
    const machine = await machineWithTable(context)
    const database = openWriteConnection(machine.path)
    context.after(() => database.close())
    const applier = new EntryApplier(database, () => Number.MAX_SAFE_INTEGER)
    const entries = logOf([command(statements)], 2)
    const prepared = countPrepared(context, () => {
      assert.deepEqual(applier.apply(entries, inPlace), { applied: [], stop: 'long' })
    })
    assert.ok(prepared < 20, `${prepared} were prepared`)
    assert.equal(applier.apply(entries, noLimits).stop, 'end')
  })

test('an entry of more than a megabyte is not even read where others wait', async (context) => {
  const machine = await machineWithTable(context)
  const database = openWriteConnection(machine.path)
  context.after(() => database.close())
  const applier = new EntryApplier(database, () => Number.MAX_SAFE_INTEGER)
  const short = logOf([command([insert])], 2)
  // Nothing that can be read: whoever reads it finds that there is nothing to run.
  const large = makeEntry({ index: 3, term: 1, kind: 'command', payload: new Uint8Array(1024 * 1024 + 1) })
  const { applied, stop } = applier.apply([...short, large], inPlace)
  assert.deepEqual([applied.map(({ index }) => index), stop], [[2], 'long'])
  assert.equal(applier.apply([large], noLimits).stop, 'end')
})
