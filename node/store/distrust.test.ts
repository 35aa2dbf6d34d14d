// What a start makes of damage: which of it is mended by others and costs the node its vote for a while, which is refused.
import assert from 'node:assert/strict'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { test } from 'node:test'
import { encodeCommand } from '../command/command-codec.ts'
import { makeEntry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from '../replica/eventually.ts'
import type { FatalProblem } from './fatal.ts'
import { openStore, type Store, type StoreProblem } from './open-store.ts'
import { command } from './test-machine.ts'

const n1 = 'n1' as NodeId
const n2 = 'n2' as NodeId

function voters(...ids: readonly string[]): Membership {
  return virtualMembership(ids)
}

interface Line {
  readonly code?: string
  readonly reason?: string
}

class Node {
  readonly directory = mkdtempSync(join(tmpdir(), 'distrust-'))
  readonly dataDir = join(this.directory, 'data')
  readonly errors: Line[] = []
  readonly fatal: FatalProblem[] = []
  readonly segment = join(this.dataDir, 'raft', '0000000001.segment')

  async tryOpen(): Promise<Store | StoreProblem> {
    const opened = await openStore({
      dataDir: this.dataDir,
      nodeId: n1,
      onFatal: (problem) => this.fatal.push(problem),
      logger: { info: () => {}, warn: () => {}, error: (line: Line) => this.errors.push(line) },
    })
    return opened.ok ? opened.value : opened.problem
  }

  async open(): Promise<Store> {
    const store = await this.tryOpen()
    assert('log' in store, 'code' in store ? store.message : '')
    return store
  }

  async refused(): Promise<StoreProblem> {
    const problem = await this.tryOpen()
    assert('code' in problem, 'the store opened')
    return problem
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true })
  }
}

async function append(
  store: Store,
  from: number,
  to: number,
  options: { readonly members?: Membership; readonly applied?: number } = {},
): Promise<void> {
  const entries = Array.from({ length: to - from + 1 }, (_, at) =>
    from + at === 1
      ? makeEntry({ index: 1, term: 4, kind: 'membership', payload: encodeMembership(options.members ?? voters('n1', 'n2', 'n3')) })
      : makeEntry({
          index: from + at,
          term: 4,
          kind: 'command',
          payload: encodeCommand(command(['CREATE TABLE IF NOT EXISTS t (n)', ['INSERT INTO t VALUES (?)', from + at]])),
        }),
  )
  let isDurable = false
  store.log.onDurable(() => (isDurable = true))
  store.log.append({ sequence: from, hardState: { term: 4, votedFor: n2 }, entries })
  await eventually(() => isDurable, 'the entries are durable')
  const applied = options.applied ?? to
  store.stateMachine.apply(entries.filter(({ index }) => index <= applied))
  await eventually(() => store.stateMachine.appliedIndex === applied, 'they are applied')
}

function withNode(title: string, body: (node: Node) => Promise<void>): void {
  test(title, async () => {
    const node = new Node()
    try {
      await body(node)
    } finally {
      node.dispose()
    }
  })
}

/** Six entries, all applied, closed in order. */
async function fill(node: Node, members = voters('n1', 'n2', 'n3')): Promise<void> {
  const store = await node.open()
  await store.identity.adopt({ clusterId: 'c1', members, origin: 'formed' })
  await append(store, 1, 6, { members })
  await store.close()
}

function rot(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at]! ^= 1
  writeFileSync(path, bytes)
}

/** As the log begins anew: where the database stands, with term and vote, untrusted, and usable. */
async function assertBegunAnew(node: Node, index: number): Promise<void> {
  const store = await node.open()
  assert.deepEqual({ ...store.log.reader.base }, { index, term: index === 0 ? 0 : 4 })
  assert.equal(store.log.reader.lastIndex(), index)
  assert.deepEqual(store.log.hardState, { term: 4, votedFor: n2 })
  assert.equal(store.trust.trust, 'untrusted')
  assert.equal(store.stateMachine.appliedIndex, index)
  await append(store, index + 1, index + 2)
  await store.close()
  const again = await node.open()
  assert.deepEqual([again.log.reader.lastIndex(), again.stateMachine.appliedIndex, again.trust.trust], [index + 2, index + 2, 'untrusted'])
  again.trust.setTrust('trusted')
  await again.close()
  const trusted = await node.open()
  assert.equal(trusted.trust.trust, 'trusted')
  await trusted.close()
}

withNode(
  'damage in the synced log of a member: the log is put aside and begun anew, and the node is not trusted until others say so',
  async (node) => {
    await fill(node)
    rot(node.segment, 200)
    const rotten = readFileSync(node.segment)
    await assertBegunAnew(node, 6)
    assert.equal(node.errors[0]?.code, 'log_corrupt')
    assert.match(node.errors[0]?.reason ?? '', /0000000001\.segment, offset \d+/)
    assert.deepEqual(readFileSync(join(node.dataDir, 'raft.damaged-1', '0000000001.segment')), rotten)
  },
)

withNode('a log that was put back in time: begun anew where the database stands', async (node) => {
  const store = await node.open()
  await store.identity.adopt({ clusterId: 'c1', members: voters('n1', 'n2', 'n3'), origin: 'formed' })
  await append(store, 1, 3)
  const early = join(node.directory, 'early')
  copyFileSync(node.segment, early)
  await append(store, 4, 6)
  await store.close()
  copyFileSync(early, node.segment)
  await assertBegunAnew(node, 6)
  assert.equal(node.errors[0]?.code, 'database_ahead_of_log')
})

withNode('a database that was put back behind the beginning of the log: the log begins anew where the database stands', async (node) => {
  const store = await node.open()
  await store.identity.adopt({ clusterId: 'c1', members: voters('n1', 'n2', 'n3'), origin: 'formed' })
  await append(store, 1, 3)
  const early = join(node.directory, 'early')
  cpSync(node.dataDir, early, { recursive: true })
  await append(store, 4, 6)
  store.log.compact({ index: 5, term: 4 })
  await store.close()
  for (const name of ['db.sqlite', 'db.sqlite-wal', 'db.sqlite-shm']) {
    rmSync(join(node.dataDir, name), { force: true })
    if (existsSync(join(early, name))) copyFileSync(join(early, name), join(node.dataDir, name))
  }
  await assertBegunAnew(node, 3)
  assert.equal(node.errors[0]?.code, 'database_behind_log')
})

withNode(
  'a database that cannot be read is put aside; while the log holds everything, nothing is lost and the node keeps its vote',
  async (node) => {
    await fill(node)
    writeFileSync(join(node.dataDir, 'db.sqlite'), 'no database')
    const store = await node.open()
    assert.deepEqual([store.stateMachine.appliedIndex, store.log.reader.lastIndex(), store.trust.trust], [0, 6, 'trusted'])
    await store.close()
    assert.equal(readFileSync(join(node.dataDir, 'db.sqlite.damaged'), 'utf8'), 'no database')
    assert.equal(node.errors[0]?.code, 'database_unreadable')
  },
)

withNode('a database that cannot be read, and a log that was compacted: both begin anew from nothing, with term and vote', async (node) => {
  const store = await node.open()
  await store.identity.adopt({ clusterId: 'c1', members: voters('n1', 'n2', 'n3'), origin: 'formed' })
  await append(store, 1, 6)
  store.log.compact({ index: 5, term: 4 })
  await store.close()
  writeFileSync(join(node.dataDir, 'db.sqlite'), 'no database')
  await assertBegunAnew(node, 0)
})

withNode(
  'damage where the last write of the log stood: for whom the node voted cannot be known, so it is refused and told what to do',
  async (node) => {
    const store = await node.open()
    await store.identity.adopt({ clusterId: 'c1', members: voters('n1', 'n2', 'n3'), origin: 'formed' })
    await append(store, 1, 3)
    await append(store, 4, 6)
    await store.close()
    rot(node.segment, 300)
    // Every frame begins with these bytes; behind the last one there are zeros.
    rot(node.segment, readFileSync(node.segment).lastIndexOf(Buffer.from('d15cf4a3', 'hex')) + 20)
    const problem = await node.refused()
    assert.equal(problem.code, 'log_vote_lost')
    assert.match(problem.message, /remove it from the cluster.*empty data directory under a new node id/)
  },
)

withNode('the only voter is refused and nothing is put aside: nobody could bring it up to date', async (node) => {
  await fill(node, voters('n1'))
  rot(node.segment, 200)
  const problem = await node.refused()
  assert.equal(problem.code, 'log_corrupt')
  assert.match(problem.message, /only voter.*peers\.json/)
  assert.deepEqual(
    readdirSync(node.dataDir).filter((name) => name.includes('damaged')),
    [],
  )
  assert.equal((await node.refused()).code, 'log_corrupt', 'asking twice changes nothing')
})

withNode('whether it is the only voter stood in the database: where that cannot be read, the message leaves it open', async (node) => {
  const store = await node.open()
  await store.identity.adopt({ clusterId: 'c1', members: voters('n1'), origin: 'formed' })
  await append(store, 1, 6)
  store.log.compact({ index: 5, term: 4 })
  await store.close()
  writeFileSync(join(node.dataDir, 'db.sqlite'), 'no database')
  const problem = await node.refused()
  assert.equal(problem.code, 'database_unreadable')
  assert.match(problem.message, /If other nodes have joined it.*remove this node.*If none has.*peers\.json/)
})

withNode('an untrusted node that is the only voter is refused', async (node) => {
  await fill(node, voters('n1'))
  const store = await node.open()
  store.trust.setTrust('untrusted')
  await store.close()
  assert.equal((await node.refused()).code, 'untrusted_alone')
})

withNode(
  'killed while the log begins anew, it begins anew at the next start, and what was damaged is still there to be looked at',
  async (node) => {
    await fill(node)
    rot(node.segment, 200)
    const rotten = readFileSync(node.segment)
    const damaged = join(node.directory, 'damaged')
    cpSync(node.dataDir, damaged, { recursive: true })
    await (await node.open()).close()
    const renewed = JSON.parse(readFileSync(join(node.dataDir, 'identity.json'), 'utf8')) as object
    const logStart = { base: { index: 6, term: 4 }, hardState: { term: 4, votedFor: 'n2' } }
    const whole = readFileSync(node.segment)
    const moments: readonly (readonly [string, () => void])[] = [
      ['the identity is written', () => {}],
      ['the old log is put aside', () => renameSync(join(node.dataDir, 'raft'), join(node.dataDir, 'raft.damaged-1'))],
      ['there is an empty directory for the new one', () => mkdirSync(join(node.dataDir, 'raft'))],
      ['the new log is half made', () => writeFileSync(node.segment, whole.subarray(0, 70))],
      ['the new log is made', () => writeFileSync(node.segment, whole)],
    ]
    for (const [position, [title]] of moments.entries()) {
      rmSync(node.dataDir, { recursive: true })
      cpSync(damaged, node.dataDir, { recursive: true })
      writeFileSync(join(node.dataDir, 'identity.json'), JSON.stringify({ ...renewed, isLogMade: false, logStart, trust: 'untrusted' }))
      for (const [, step] of moments.slice(0, position + 1)) step()
      await assertBegunAnew(node, 6)
      assert.deepEqual(readFileSync(join(node.dataDir, 'raft.damaged-1', '0000000001.segment')), rotten, title)
    }
  },
)

withNode('each start is counted, so that a directory that was put back is noticed by others', async (node) => {
  for (let life = 1; life <= 3; life += 1) {
    const store = await node.open()
    assert.equal(store.identity.life, life)
    await store.close()
  }
})

withNode('a log that the disk refuses to write costs the node its trust before it ends; the only voter keeps it', async (node) => {
  for (const members of [voters('n1', 'n2', 'n3'), voters('n1')]) {
    rmSync(node.dataDir, { recursive: true, force: true })
    const store = await node.open()
    await store.identity.adopt({ clusterId: 'c1', members, origin: 'formed' })
    await append(store, 1, 2, { members })
    // A frame that is longer than a segment makes the next one; the writer finds its name taken.
    node.fatal.splice(0)
    await failLog(node, store)
    assert.equal(node.fatal.at(0)?.code, 'log_write_failed')
    await store.close()
    const { trust } = JSON.parse(readFileSync(join(node.dataDir, 'identity.json'), 'utf8')) as { readonly trust: string }
    assert.equal(trust, members.members.length === 1 ? 'trusted' : 'untrusted')
  }
})

/** The name of the next segment is taken, and the segment is full. */
async function failLog(node: Node, store: Store): Promise<void> {
  writeFileSync(join(node.dataDir, 'raft', '0000000002.segment'), 'in the way')
  const payload = new Uint8Array(33 * 1024 * 1024)
  for (const index of [3, 4])
    store.log.append({ sequence: index, hardState: undefined, entries: [makeEntry({ index, term: 4, kind: 'noop', payload })] })
  await eventually(() => node.fatal.length > 0, 'the writer has failed')
}

withNode('after an error of the disk the database is read as a whole before it is used: damage inside is found', async (node) => {
  await fill(node)
  const path = join(node.dataDir, 'identity.json')
  const suspect = (): void =>
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), isDatabaseSuspect: true }))
  suspect()
  const store = await node.open()
  assert.equal(store.stateMachine.appliedIndex, 6)
  await store.close()
  assert.equal(node.errors.length, 0)
  const bytes = readFileSync(join(node.dataDir, 'db.sqlite'))
  bytes.fill(0x5a, bytes.length - 4000)
  writeFileSync(join(node.dataDir, 'db.sqlite'), bytes)
  suspect()
  const again = await node.open()
  assert.equal(node.errors[0]?.code, 'database_unreadable')
  assert.equal(again.stateMachine.appliedIndex, 0)
  await again.close()
})

withNode(
  'after an error of the disk indexes are compared with their tables where others can mend them, and left where nobody can',
  async (node) => {
    for (const [members, found] of [
      [voters('n1', 'n2', 'n3'), 'database_unreadable'],
      [voters('n1'), undefined],
    ] as const) {
      rmSync(node.dataDir, { recursive: true, force: true })
      node.errors.splice(0)
      await fill(node, members)
      const path = join(node.dataDir, 'db.sqlite')
      const database = new Database(path)
      database.exec("CREATE TABLE x (a); CREATE INDEX x_a ON x (a); INSERT INTO x VALUES ('find me')")
      const root = Number(database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'x_a'").pluck().get())
      database.close()
      rot(path, readFileSync(path).indexOf('find me', (root - 1) * 4096))
      const looked = new Database(path, { readonly: true })
      assert.equal(looked.pragma('quick_check', { simple: true }), 'ok')
      looked.close()
      const identity = join(node.dataDir, 'identity.json')
      writeFileSync(identity, JSON.stringify({ ...(JSON.parse(readFileSync(identity, 'utf8')) as object), isDatabaseSuspect: true }))
      const store = await node.open()
      assert.equal(node.errors[0]?.code, found)
      await store.close()
    }
  },
)
