// Kill -9 at each step of putting another database in place, a loaded one or one that VACUUM has written: the node opens with the old database, which still holds all chunks,
// or with the new one, and goes on. And kill -9 while VACUUM writes.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { encodeCommand } from '../command/command-codec.ts'
import { encodeLoadStep } from '../command/load-step.ts'
import { makeEntry, type Entry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { NodeId } from '../raft/membership.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from '../replica/eventually.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { DatabaseReplacement } from './database-replacement.ts'
import { Died, dyingAfter } from './dying-install.ts'
import { openStore, type Store } from './open-store.ts'
import { snapshotPaths } from './snapshot-directory.ts'
import { installFiles, type InstallFiles } from './snapshot-install.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { command, logOf } from './test-machine.ts'
import { openWriteConnection } from './write-connection.ts'

const id = '00112233445566778899aabbccddeeff'
const silent = { info: () => {}, warn: () => {}, error: () => {} }

async function open(dataDir: string): Promise<Store> {
  const onFatal = (problem: { readonly message: string }): never => assert.fail(problem.message)
  const opened = await openStore({ dataDir, nodeId: 'n1' as NodeId, onFatal, logger: silent })
  assert(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.value
}

function entriesOf(payloads: readonly Uint8Array[]): readonly Entry[] {
  return [
    makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(virtualMembership(['n1'])) }),
    ...payloads.map((payload, at) => makeEntry({ index: at + 2, term: 1, kind: 'command', payload })),
  ]
}

function loadEntries(file: Buffer): readonly Entry[] {
  return entriesOf([
    encodeCommand(command(['CREATE TABLE old (n)'])),
    encodeLoadStep({ kind: 'load-begin', id, bytes: file.length }),
    encodeLoadStep({ kind: 'load-chunk', id, offset: 0, data: file }),
    encodeLoadStep({ kind: 'load-end', id, bytes: file.length, hash: createHash('sha256').update(file).digest('hex'), onto: 'anything' }),
  ])
}

const filling = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO loaded SELECT i FROM n`

function vacuumEntries(): readonly Entry[] {
  const texts = ['CREATE TABLE loaded (n)', filling, 'DELETE FROM loaded WHERE n <> 42', 'VACUUM']
  return entriesOf(texts.map((text) => encodeCommand(command([text]))))
}

/** Applies the last entry on the data directory until it is done or dies. */
function applyLast(dataDir: string, entry: Entry, files: InstallFiles): 'done' | 'died' {
  const databasePath = join(dataDir, 'db.sqlite')
  const place = { files, paths: snapshotPaths(dataDir), databasePath }
  let hasDied = false
  const machine = new SqliteStateMachine(openWriteConnection(databasePath), {
    elsewhere: 'nowhere',
    onFatal: (problem) => {
      const { cause } = problem.cause instanceof Error ? problem.cause : {}
      hasDied = cause instanceof Died
      assert(hasDied, problem.message)
    },
  })
  const replacement = new DatabaseReplacement(place, [machine])
  machine.onReplaced((from, point, content) => {
    replacement.replace(from, { point, reset: false }, content)
    replacement.ended()
  })
  machine.apply([entry])
  return hasDied ? 'died' : 'done'
}

/** `rows`: with their rowids, whichever database there is in the end. */
async function killAtEachStep(
  directory: string,
  { entries, rows }: { readonly entries: readonly Entry[]; readonly rows: unknown },
): Promise<void> {
  const last = entries.at(-1)
  assert(last !== undefined)
  const before = join(directory, 'before')
  const store = await open(before)
  let isDurable = false
  store.log.onDurable(() => (isDurable = true))
  store.log.append({ sequence: 1, hardState: { term: 1, votedFor: undefined }, entries })
  await eventually(() => isDurable, 'the entries are durable')
  store.stateMachine.apply(entries.slice(0, -1))
  await eventually(() => store.stateMachine.appliedIndex === last.index - 1, 'they are applied')
  await store.close()

  const found: string[] = []
  for (let steps = 0, end = 'died'; end === 'died'; steps += 1) {
    const dataDir = join(directory, `killed-${steps}`)
    cpSync(before, dataDir, { recursive: true })
    end = applyLast(dataDir, last, dyingAfter(steps).files)
    const crashed = join(directory, `crashed-${steps}`)
    cpSync(dataDir, crashed, { recursive: true })
    const again = await open(crashed)
    const { appliedIndex } = again.stateMachine
    found.push(appliedIndex === last.index ? 'new' : 'old')
    if (appliedIndex < last.index) again.stateMachine.apply([last])
    await eventually(() => again.stateMachine.appliedIndex === last.index, 'the last entry is applied')
    const read = await again.reader.query([{ sql: 'SELECT rowid, n FROM loaded', parameters: { kind: 'positional', values: [] } }], {
      transaction: false,
      appliedIndexMin: last.index,
    })
    assert(read.ok && read.value.results[0]?.kind === 'rows')
    assert.deepEqual(read.value.results[0].rows, rows)
    await again.close()
    assert.deepEqual(
      readdirSync(snapshotPaths(crashed).directory).filter((name) => name !== 'replaced.sqlite'),
      [],
    )
  }
  // Before the intent is durable the old one stands, from then on the new one.
  assert.deepEqual(found, found.toSorted().toReversed())
  assert.deepEqual([found[0], found.at(-1)], ['old', 'new'])
  assert(found.length > 6, `${found.length} steps`)
}

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'replacement-crash-'))
  try {
    await body(directory)
  } finally {
    rmSync(directory, { recursive: true, maxRetries: 20, retryDelay: 50 })
  }
}

test('killed at any step of putting a loaded database in place, a node opens with the old or the new one, whole, and ends with the new one', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'file.sqlite')
    new Database(path).exec('CREATE TABLE loaded (n); INSERT INTO loaded VALUES (42)').close()
    await killAtEachStep(directory, { entries: loadEntries(readFileSync(path)), rows: [[1n, 42n]] })
  }))

test('killed at any step of putting in place what VACUUM has written, likewise', () =>
  inDirectory((directory) => killAtEachStep(directory, { entries: vacuumEntries(), rows: [[42n, 42n]] })))

test('killed while VACUUM writes, or swaps, a node opens with the old or the new database, whole, and does it at the next start', () =>
  inDirectory(async (directory) => {
    const before = join(directory, 'before')
    const store = await open(before)
    const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO t SELECT zeroblob(2000) FROM n`
    const entries = logOf(['CREATE TABLE t (b)', fill, 'DELETE FROM t WHERE rowid % 4 > 0'].map((text) => command([text])))
    store.stateMachine.apply(entries)
    await eventually(() => store.stateMachine.appliedIndex === 3, 'the entries are applied')
    await store.close()
    const expected = fingerprintDatabase(join(before, 'db.sqlite')).hash
    const bytesBefore = statSync(join(before, 'db.sqlite')).size
    for (const shareWritten of [0, 0.5, 1]) {
      const dataDir = join(directory, `killed-${shareWritten}`)
      cpSync(before, dataDir, { recursive: true })
      mkdirSync(join(dataDir, 'snapshots'), { recursive: true })
      const { loading } = snapshotPaths(dataDir)
      const child = spawn(process.execPath, [fileURLToPath(new URL('test-vacuum-process.ts', import.meta.url)), dataDir], {
        stdio: 'ignore',
      })
      const exited = once(child, 'exit')
      // Whenever it is seen, or when it is over: then it is killed too late, which is a moment as well.
      await eventually(
        () => child.exitCode !== null || (statSync(loading, { throwIfNoEntry: false })?.size ?? -1) >= (shareWritten * bytesBefore) / 4,
        'the new file is so long',
      )
      child.kill('SIGKILL')
      await exited
      const again = await open(dataDir)
      const next = again.stateMachine.appliedIndex
      if (next === 3) again.stateMachine.apply(logOf([command(['VACUUM'])], 4))
      await eventually(() => again.stateMachine.appliedIndex === 4, 'the VACUUM is applied')
      await again.close()
      assert.equal(fingerprintDatabase(join(dataDir, 'db.sqlite')).hash, expected)
      assert(statSync(join(dataDir, 'db.sqlite')).size < bytesBefore / 3)
    }
  }))

test('a snapshot that is taken in the middle of a load carries what has come: whoever installs it goes on with the rest', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'load-snapshot-'))
  try {
    const path = join(directory, 'file.sqlite')
    new Database(path).exec('CREATE TABLE loaded (n); INSERT INTO loaded VALUES (42)').close()
    const entries = loadEntries(readFileSync(path))
    const last = entries.at(-1)
    assert(last !== undefined)
    const sender = await open(join(directory, 'sender'))
    sender.stateMachine.apply(entries.slice(0, -1))
    await eventually(() => sender.stateMachine.appliedIndex === last.index - 1, 'the chunks are applied')
    const taken = await sender.snapshots.take({ indexMin: last.index - 1 })
    assert(taken.ok)
    const received = join(directory, 'receiver')
    mkdirSync(received)
    cpSync(join(directory, 'sender', 'snapshots', `copy-${taken.value.id}`, 'snapshot.sqlite'), join(received, 'db.sqlite'))
    await sender.close()
    assert.equal(applyLast(received, last, installFiles), 'done')
    const database = new Database(join(received, 'db.sqlite'), { readonly: true })
    assert.deepEqual(database.prepare('SELECT n FROM loaded').pluck().all(), [42])
    database.close()
  } finally {
    rmSync(directory, { recursive: true })
  }
})
