import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { encodeMembership } from '../raft/membership-codec.ts'
import { makeEntry } from '../raft/entry.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from '../replica/eventually.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { removeInSteps } from './removal-in-steps.ts'
import { SnapshotCopies } from './snapshot-copies.ts'
import { openSnapshotDirectory, snapshotPaths, type SnapshotPaths } from './snapshot-directory.ts'
import { TestMachine, command, logOf } from './test-machine.ts'

const members = virtualMembership(['n1'])
const silent = { info: () => {}, warn: () => {}, error: () => {} }

class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'snapshot-copies-'))
  readonly paths: SnapshotPaths = snapshotPaths(this.directory)
  readonly machine = new TestMachine()
  readonly clock = new ManualClock()
  readonly refusals: unknown[] = []
  freeBytes = Number.MAX_SAFE_INTEGER
  isInDoubt = false
  readonly copies: SnapshotCopies

  constructor() {
    openSnapshotDirectory(this.paths)
    const { machine } = this.machine
    const isInDoubt = (): boolean => this.isInDoubt
    this.copies = new SnapshotCopies({
      paths: this.paths,
      databasePath: this.machine.path,
      state: {
        get appliedIndex() {
          return machine.appliedIndex
        },
        get isInDoubt() {
          return isInDoubt()
        },
      },
      clock: this.clock,
      readFreeBytes: () => this.freeBytes,
      logger: { ...silent, error: (line: unknown) => this.refusals.push(line) },
    })
  }

  /** The first entry is the membership; then `megabytes` of rows. */
  async fill(megabytes: number): Promise<void> {
    await this.machine.apply([makeEntry({ index: 1, term: 3, kind: 'membership', payload: encodeMembership(members) })])
    await this.machine.run(['CREATE TABLE t (id INTEGER PRIMARY KEY, n, filling BLOB)'])
    for (let count = 0; count < megabytes; count += 1)
      await this.machine.run([
        'INSERT INTO t (filling) SELECT zeroblob(4000) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 256) SELECT x FROM c)',
      ])
  }

  async insert(n: number): Promise<void> {
    await this.machine.apply(logOf([command([['INSERT INTO t (n) VALUES (?)', n]])], this.machine.machine.appliedIndex + 1))
  }

  copyNames(): readonly string[] {
    return readdirSync(this.paths.directory).filter((name) => name.startsWith('copy-'))
  }

  copiedBytes(): number {
    return this.copyNames().reduce((sum, name) => sum + sizeOf(join(this.paths.directory, name, 'snapshot.sqlite')), 0)
  }

  copyPath(id: string): string {
    return join(this.paths.directory, `copy-${id}`, 'snapshot.sqlite')
  }

  async dispose(): Promise<void> {
    await this.copies.close()
    await this.machine.dispose()
    rmSync(this.directory, { recursive: true })
  }
}

function withPlace(title: string, body: (place: Place) => Promise<void>): void {
  test(title, async () => {
    const place = new Place()
    try {
      await body(place)
    } finally {
      await place.dispose()
    }
  })
}

withPlace('a copy made while entries are applied is one state: its rows are those of the index inside of it', async (place) => {
  await place.fill(30) // more than SQLite keeps of the copy in memory
  const before = place.machine.machine.appliedIndex
  const making = { isDone: false }
  const taking = place.copies.take(before).finally(() => (making.isDone = true))
  let applied = 0
  await eventually(() => place.copyNames().length > 0, 'the copy is begun')
  const beganAtMs = performance.now()
  let firstData: number | undefined
  while (!making.isDone && performance.now() - beganAtMs < 120_000) {
    if (place.copiedBytes() > 0) firstData ??= place.machine.machine.appliedIndex
    await place.insert((applied += 1))
    await new Promise(setImmediate)
  }
  assert(making.isDone, 'the copy does not begin anew at each write')
  const taken = await taking
  assert(taken.ok)
  const { id, index, term, membership, bytes, hash } = taken.value
  assert(firstData !== undefined && firstData < place.machine.machine.appliedIndex, 'entries were applied meanwhile')
  assert(index <= firstData, 'and the copy stayed with the state that it began with')
  const path = place.copyPath(id)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(join(path, '..')), ['snapshot.sqlite'], 'one file, and nothing beside it')
  const copy = new Database(path, { readonly: true })
  const counted = copy.prepare('SELECT count(n) FROM t').pluck().get()
  assert.equal(copy.pragma('integrity_check', { simple: true }), 'ok')
  copy.close()
  assert.deepEqual({ counted, term, membership }, { counted: index - before, term: before > 1 ? 1 : 3, membership: members })
  const read: Uint8Array[] = []
  for (let offset = 0; offset < bytes; offset += 1 << 20) {
    const chunk = await place.copies.read({ id, offset, length: 1 << 20 })
    assert(chunk.ok)
    read.push(chunk.value)
  }
  assert.equal(createHash('sha256').update(Buffer.concat(read)).digest('hex'), hash)
})

withPlace('a copy that nobody asks for in five minutes is removed; one that is read from stays', async (place) => {
  await place.fill(0)
  const one = await place.copies.take(1)
  assert(one.ok)
  place.clock.advance(4 * 60_000)
  assert((await place.copies.read({ id: one.value.id, offset: 0, length: 10 })).ok)
  place.clock.advance(4 * 60_000)
  assert((await place.copies.read({ id: one.value.id, offset: 0, length: 10 })).ok)
  place.clock.advance(6 * 60_000)
  assert.deepEqual(await place.copies.read({ id: one.value.id, offset: 0, length: 10 }), { ok: false, problem: 'snapshot_gone' })
  await eventually(() => place.copyNames().length === 0, 'its file is gone')
})

withPlace('at most two copies are kept: the third takes the place of the oldest', async (place) => {
  await place.fill(0)
  const ids: string[] = []
  for (let count = 0; count < 3; count += 1) {
    await place.insert(count)
    const taken = await place.copies.take(place.machine.machine.appliedIndex)
    assert(taken.ok)
    ids.push(taken.value.id)
  }
  const kept = await Promise.all(ids.map(async (id) => (await place.copies.read({ id, offset: 0, length: 10 })).ok))
  assert.deepEqual(kept, [false, true, true])
  assert.equal(place.copyNames().length, 2)
})

withPlace('no copy is begun when there is no room for it, and the log says so', async (place) => {
  await place.fill(0)
  place.freeBytes = 1000
  assert.deepEqual(await place.copies.take(1), { ok: false, problem: 'snapshot_unavailable' })
  assert.match(JSON.stringify(place.refusals), /snapshot_no_space/)
  assert.deepEqual(place.copyNames(), [])
})

withPlace('a state that is in doubt is not passed on, not even from a copy made before', async (place) => {
  await place.fill(0)
  assert((await place.copies.take(1)).ok)
  place.isInDoubt = true
  assert.deepEqual(await place.copies.take(1), { ok: false, problem: 'snapshot_unavailable' })
})

for (const [moment, isReached] of [
  ['is starting', () => true],
  ['is under way', (place: Place) => place.copiedBytes() > 0],
] as const) {
  withPlace(`when the database is about to be replaced, a copy that ${moment} lets go of it at once and is not kept`, async (place) => {
    await place.fill(40)
    const taking = place.copies.take(1)
    await eventually(() => isReached(place), `the copy ${moment}`)
    place.copies.suspend('other')
    const database = new Database(place.machine.path)
    // Were a reader left, the write-ahead log could not begin anew.
    assert.deepEqual(database.pragma('wal_checkpoint(TRUNCATE)'), [{ busy: 0, log: 0, checkpointed: 0 }])
    database.close()
    assert.equal((await taking).ok, false)
    assert.deepEqual(place.copyNames(), [])
  })
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

test('what an earlier process left is put aside at start and removed after it, what was being received stays', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'snapshot-directory-'))
  try {
    const paths = snapshotPaths(directory)
    openSnapshotDirectory(paths)
    for (const name of ['copy-1', 'incoming']) mkdirSync(join(paths.directory, name))
    for (const name of [
      'copy-1/snapshot.sqlite',
      'incoming/snapshot.sqlite',
      'replaced.sqlite',
      'loading.sqlite',
      'loading.sqlite-journal',
    ])
      writeFileSync(join(paths.directory, name), 'x')
    openSnapshotDirectory(paths)
    assert.deepEqual(readdirSync(paths.directory).toSorted(), ['gone', 'incoming'])
    assert.equal(readdirSync(paths.gone).length, 3)
    await removeInSteps(paths.gone)
    assert.deepEqual(readdirSync(paths.directory), ['incoming'])
  } finally {
    rmSync(directory, { recursive: true })
  }
})
