import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeCommand } from '../command/command-codec.ts'
import { makeEntry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import type { ClusterIdentity } from '../peer/cluster-identity.ts'
import { eventually } from '../replica/eventually.ts'
import { openStore, type Store, type StoreProblem } from './open-store.ts'
import { command } from './test-machine.ts'

const n1 = 'n1' as NodeId
const silent = { info: () => {}, warn: () => {}, error: () => {} }
const cluster: ClusterIdentity = {
  clusterId: 'c1',
  members: { members: [{ id: n1, incarnation: 'i', raftAddress: 'a:1', apiUrl: 'https://a:2', suffrage: 'voter' }] },
  origin: 'formed',
}

async function open(dataDir: string, nodeId: NodeId = n1): Promise<Store | StoreProblem> {
  const opened = await openStore({ dataDir, nodeId, onFatal: (problem) => assert.fail(problem.message), logger: silent })
  return opened.ok ? opened.value : opened.problem
}

async function opened(dataDir: string): Promise<Store> {
  const store = await open(dataDir)
  assert('log' in store, 'code' in store ? store.message : '')
  return store
}

async function refused(dataDir: string, nodeId: NodeId = n1): Promise<StoreProblem> {
  const problem = await open(dataDir, nodeId)
  assert('code' in problem, 'the store opened')
  return problem
}

function inDirectory(title: string, body: (dataDir: string) => Promise<void>): void {
  test(title, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'open-store-'))
    try {
      await body(join(directory, 'data'))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}

/** Appends entries from..to, waits until they are durable, and applies those up to `applied`. */
async function write(store: Store, from: number, to: number, applied = to): Promise<void> {
  const entries = Array.from({ length: to - from + 1 }, (_, at) =>
    makeEntry({
      index: from + at,
      term: 1,
      kind: 'command',
      payload: encodeCommand(command(['CREATE TABLE IF NOT EXISTS t (n)', ['INSERT INTO t VALUES (?)', from + at]])),
    }),
  )
  let isDurable = false
  store.log.onDurable(() => (isDurable = true))
  store.log.append({ sequence: from, hardState: { term: 1, votedFor: n1 }, entries })
  await eventually(() => isDurable, 'the entries are durable')
  store.stateMachine.apply(entries.filter(({ index }) => index <= applied))
  await eventually(() => store.stateMachine.appliedIndex >= Math.min(applied, to), 'the entries are applied')
}

inDirectory(
  'a new directory gets an identity, a log and a database, all for the owner only; they are there again after a restart',
  async (dataDir) => {
    const store = await opened(dataDir)
    const { incarnation } = store.identity
    assert.equal(store.identity.nodeId, n1)
    assert.equal(store.identity.cluster, undefined)
    await store.identity.adopt(cluster)
    await write(store, 1, 5)
    const facts = store.facts()
    assert.match(facts.sqliteVersion, /^3\./)
    assert(facts.logBytes > 64 && facts.databaseBytes + facts.walBytes > 0)
    for (const name of readdirSync(dataDir, { recursive: true })) {
      const { mode } = statSync(join(dataDir, String(name)))
      assert.equal(mode & 0o077, 0, `${String(name)} can be read by others`)
    }
    await store.close()
    const again = await opened(dataDir)
    assert.equal(again.identity.incarnation, incarnation)
    assert.deepEqual(again.identity.cluster, cluster)
    assert.equal(again.log.reader.lastIndex(), 5)
    assert.equal(again.stateMachine.appliedIndex, 5)
    const read = await again.reader.query([{ sql: 'SELECT count(*) FROM t', parameters: { kind: 'positional', values: [] } }], {
      transaction: false,
      appliedIndexMin: 5,
    })
    assert(read.ok)
    const [result] = read.value.results
    assert(result?.kind === 'rows')
    assert.deepEqual(result.rows, [[5n]])
    await again.close()
  },
)

inDirectory('a directory of another node id is refused, and nothing in it changes', async (dataDir) => {
  await (await opened(dataDir)).close()
  const before = readFileSync(join(dataDir, 'identity.json'))
  const problem = await refused(dataDir, 'n2' as NodeId)
  assert.equal(problem.code, 'data_dir_of_another_node')
  assert.match(problem.message, /n1.*n2/)
  assert.deepEqual(readFileSync(join(dataDir, 'identity.json')), before)
  await (await opened(dataDir)).close()
})

inDirectory('a node adopts one cluster in its life', async (dataDir) => {
  const store = await opened(dataDir)
  await store.identity.adopt(cluster)
  await store.identity.adopt(cluster)
  assert.throws(() => store.identity.adopt({ ...cluster, clusterId: 'c2' }))
  await store.close()
})

inDirectory('a log that has vanished is refused: its vote would count twice', async (dataDir) => {
  await (await opened(dataDir)).close()
  rmSync(join(dataDir, 'raft'), { recursive: true })
  assert.equal((await refused(dataDir)).code, 'log_missing')
  assert.equal((await refused(dataDir)).code, 'log_missing', 'asking twice makes no new one')
})

inDirectory('a log of another data directory is refused', async (dataDir) => {
  await (await opened(dataDir)).close()
  await (await opened(`${dataDir}2`)).close()
  rmSync(join(dataDir, 'raft'), { recursive: true })
  cpSync(join(`${dataDir}2`, 'raft'), join(dataDir, 'raft'), { recursive: true })
  assert.equal((await refused(dataDir)).code, 'log_of_another_node')
})

inDirectory('an identity that is gone or damaged while there is data is refused, never made anew', async (dataDir) => {
  await (await opened(dataDir)).close()
  const path = join(dataDir, 'identity.json')
  const whole = readFileSync(path, 'utf8')
  rmSync(path)
  assert.equal((await refused(dataDir)).code, 'identity_missing')
  for (const text of [
    '',
    '{',
    '[]',
    whole.slice(0, -20),
    whole.replace('"format": 1', '"format": 2'),
    whole.replace('{', '{ "extra": 1,'),
    whole.replace('"n1"', '"n 1"'),
  ]) {
    writeFileSync(path, text)
    assert.equal((await refused(dataDir)).code, 'identity_corrupt', text)
  }
  writeFileSync(path, whole)
  await (await opened(dataDir)).close()
})

inDirectory('a database that is behind, even gone, is brought forward from the log', async (dataDir) => {
  const store = await opened(dataDir)
  await write(store, 1, 6, 4)
  await store.close()
  const behind = await opened(dataDir)
  assert.equal(behind.stateMachine.appliedIndex, 4)
  await behind.close()
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(dataDir, `db.sqlite${suffix}`), { force: true })
  const gone = await opened(dataDir)
  assert.equal(gone.stateMachine.appliedIndex, 0)
  gone.stateMachine.apply(gone.log.reader.read({ from: 1, to: 6, bytesMax: 1 << 20 }))
  await eventually(() => gone.stateMachine.appliedIndex === 6, 'the log is applied')
  await gone.close()
})

inDirectory('a torn tail of the log is cut and told', async (dataDir) => {
  const store = await opened(dataDir)
  await write(store, 1, 3, 0)
  await store.close()
  const segment = join(dataDir, 'raft', '0000000001.segment')
  const whole = readFileSync(segment)
  // Behind the last frame are zeros, prepared for the next ones.
  truncateSync(
    segment,
    whole.findLastIndex((byte) => byte !== 0),
  )
  const warnings: unknown[] = []
  const again = await openStore({
    dataDir,
    nodeId: n1,
    onFatal: (fatal) => assert.fail(fatal.message),
    logger: { info: () => {}, warn: (...line: unknown[]) => warnings.push(line.at(-1)), error: () => {} },
  })
  assert(again.ok)
  assert.deepEqual(warnings, ['unfinished write cut from the end of the log'])
  assert.equal(again.value.log.reader.lastIndex(), 3)
  await again.value.close()
})

inDirectory('a crash while the directory is made leaves something that opens', async (dataDir) => {
  await (await opened(dataDir)).close()
  const path = join(dataDir, 'identity.json')
  const identity = JSON.parse(readFileSync(path, 'utf8')) as object
  // The identity is written, the log is not made yet, or half of it.
  writeFileSync(path, JSON.stringify({ ...identity, isLogMade: false }))
  for (const name of readdirSync(join(dataDir, 'raft'))) truncateSync(join(dataDir, 'raft', name), 10)
  writeFileSync(`${path}.tmp`, 'half a file')
  const again = await opened(dataDir)
  assert.equal(again.log.reader.lastIndex(), 0)
  await again.close()
  // Only the directory and an empty database.
  const empty = `${dataDir}3`
  await (await opened(empty)).close()
  rmSync(join(empty, 'identity.json'))
  rmSync(join(empty, 'raft'), { recursive: true })
  truncateSync(join(empty, 'db.sqlite'), 0)
  await (await opened(empty)).close()
})
