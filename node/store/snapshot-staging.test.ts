// What the contract of every snapshot store cannot see: room on the disk, and files that are no snapshots in ways that only SQLite's can be.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { SnapshotManifest } from '../replica/snapshot-store.ts'
import { openBookkeeping } from './bookkeeping.ts'
import { openSnapshotDirectory, snapshotPaths } from './snapshot-directory.ts'
import { SnapshotStaging } from './snapshot-staging.ts'

const membership: Membership = {
  members: [{ id: 'n1' as NodeId, incarnation: 'i', raftAddress: 'a:1', apiUrl: 'https://a:2', suffrage: 'voter' }],
}

interface Place {
  readonly directory: string
  readonly staging: SnapshotStaging
  readonly refusals: { readonly code?: string; readonly reason?: string }[]
}

function withPlace(title: string, freeBytes: number, body: (place: Place) => Promise<void>): void {
  test(title, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'snapshot-staging-'))
    const paths = snapshotPaths(directory)
    openSnapshotDirectory(paths)
    const refusals: Place['refusals'][number][] = []
    const error = (line: Place['refusals'][number]): void => void refusals.push(line)
    const staging = new SnapshotStaging({ paths, readFreeBytes: () => freeBytes, logger: { info: () => {}, warn: () => {}, error } })
    try {
      await body({ directory, staging, refusals })
    } finally {
      await staging.close()
      rmSync(directory, { recursive: true })
    }
  })
}

/** A database at entry 5 of term 2, changed by `change`. */
function databaseWith(directory: string, change: (database: Database.Database) => void): Uint8Array {
  const path = join(directory, 'made.sqlite')
  const database = new Database(path)
  openBookkeeping(database)
  database.prepare('UPDATE _securesql_state SET applied_index = 5, applied_term = 2, membership = ?').run(encodeMembership(membership))
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, filling); CREATE INDEX i ON t (filling)')
  database.exec(
    'INSERT INTO t (filling) SELECT hex(randomblob(500)) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 200) SELECT x FROM c)',
  )
  change(database)
  database.close()
  const bytes = readFileSync(path)
  rmSync(path)
  return bytes
}

function manifestOf(bytes: Uint8Array): SnapshotManifest {
  return { id: 'a', index: 5, term: 2, membership, bytes: bytes.length, hash: createHash('sha256').update(bytes).digest('hex') }
}

async function receive({ staging }: Place, bytes: Uint8Array): Promise<boolean> {
  const stage = await staging.stage(manifestOf(bytes))
  await stage.write(bytes)
  return (await stage.finish()).ok
}

withPlace('without room for the rest nothing is received, and the log says so', 1000, async ({ staging, refusals, directory }) => {
  await assert.rejects(staging.stage(manifestOf(new Uint8Array(10))), /no room/)
  assert.equal(refusals[0]?.code, 'snapshot_no_space')
  assert.equal(existsSync(join(directory, 'snapshots', 'incoming', 'snapshot.sqlite')), true)
})

withPlace('a name that another member has chosen is never a path', Number.MAX_SAFE_INTEGER, async ({ staging, directory }) => {
  const stage = await staging.stage({ ...manifestOf(new Uint8Array(10)), id: '../../../escaped' })
  await stage.write(new Uint8Array(10))
  assert.deepEqual(
    readdirSync(directory, { recursive: true })
      .map(String)
      .toSorted((a, b) => (a < b ? -1 : 1)),
    ['snapshots', 'snapshots/incoming', 'snapshots/incoming/manifest.json', 'snapshots/incoming/snapshot.sqlite'],
  )
})

withPlace(
  'constraints of users are not judged: a row that its CHECK refuses today is not damage',
  Number.MAX_SAFE_INTEGER,
  async (place) => {
    const bytes = databaseWith(place.directory, (database) => {
      database.exec('CREATE TABLE c (n CHECK (n > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO c VALUES (-1)')
    })
    assert.equal(await receive(place, bytes), true)
  },
)

withPlace('a page that is broken is found, though the hash over the file is right', Number.MAX_SAFE_INTEGER, async (place) => {
  const bytes = databaseWith(place.directory, () => {})
  bytes.fill(0x5a, bytes.length - 4_096)
  assert.equal(await receive(place, bytes), false)
  assert.equal(place.refusals[0]?.code, 'snapshot_corrupt')
})

withPlace('what is a view, or differs from the other members, stands for nobody’s state', Number.MAX_SAFE_INTEGER, async (place) => {
  const view = databaseWith(place.directory, (database) => {
    database.exec('ALTER TABLE _securesql_state RENAME TO hidden; CREATE VIEW _securesql_state AS SELECT * FROM hidden')
  })
  const diverged = databaseWith(place.directory, (database) => database.exec("UPDATE _securesql_state SET divergence = '{}'"))
  assert.equal(
    await receive(
      place,
      databaseWith(place.directory, () => {}),
    ),
    true,
  )
  assert.equal(await receive(place, view), false)
  assert.equal(await receive(place, diverged), false)
})
