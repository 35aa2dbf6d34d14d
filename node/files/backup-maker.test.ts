import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import { makeLogger } from '../../runtime/log.ts'
import { eventually } from '../replica/eventually.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { BackupOptions } from '../api/backups.ts'
import type { CopyUnderWay } from '../store/database-copier.ts'
import { BackupMaker } from './backup-maker.ts'

const wanted: BackupOptions = { format: 'binary', vacuum: false, compress: false, tables: [], isAbandoned: () => false }
const logger = makeLogger({ level: 'fatal', destination: { write: () => {} } })

interface World {
  readonly directory: string
  readonly maker: BackupMaker
  /** Of copies of the database: what is answered instead. */
  readonly failures: string[]
  free: number
  copies: number
}

/** A copier of a database as a node has it: with its bookkeeping, and part of a load. */
async function withMaker(rows: number, body: (world: World) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'backup-'))
  const directory = join(root, 'backups')
  mkdirSync(directory)
  writeFileSync(join(directory, 'left'), 'by a crash')
  const failures: string[] = []
  const copyTo = (path: string): CopyUnderWay => {
    world.copies += 1
    const problem = failures.shift()
    if (problem === undefined) {
      const database = new Database(path)
      database.exec(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB); CREATE TABLE _securesql_state (id); INSERT INTO _securesql_state VALUES ('ours'); CREATE TABLE _securesql_load_chunk (d); INSERT INTO _securesql_load_chunk VALUES ('another file')",
      )
      database.exec(
        `WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < ${rows}) INSERT INTO t SELECT n, randomblob(1000) FROM s`,
      )
      database.close()
    }
    return { finished: Promise.resolve(problem === undefined ? ok(undefined) : fail(problem)), stop: () => {} }
  }
  const world: World = {
    directory,
    failures,
    free: Number.MAX_SAFE_INTEGER,
    copies: 0,
    maker: new BackupMaker({ directory, copier: { copyTo }, databaseBytes: () => 1000, readFreeBytes: () => world.free, logger }),
  }
  assert(!existsSync(directory), 'what an earlier life has left is gone')
  try {
    await body(world)
    await eventually(() => !existsSync(directory) || readdirSync(directory).length === 0, 'nothing is left of the backups')
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

async function bytesOf(world: World, options: Partial<BackupOptions>): Promise<Buffer> {
  const made = await world.maker.make({ ...wanted, ...options })
  assert(made.ok, made.ok ? '' : made.problem.message)
  return buffer(made.value)
}

test("a binary backup is a sound database with the users' data and nothing of ours, in the journal mode that was asked for", async () => {
  await withMaker(500, async (world) => {
    for (const [options, mode] of [
      [{}, 2],
      [{ format: 'delete' }, 1],
      [{ format: 'delete', vacuum: true }, 1],
      [{ compress: true }, 2],
    ] as const) {
      const given = await bytesOf(world, options)
      const bytes = 'compress' in options ? gunzipSync(given) : given
      assert.deepEqual([bytes[18], bytes[19]], [mode, mode])
      for (const word of ['_securesql_state', 'another file']) assert(!bytes.includes(word), 'not even in pages that are free')
      const path = join(world.directory, '..', 'seen.sqlite')
      writeFileSync(path, bytes)
      const database = new Database(path)
      assert.equal(database.pragma('integrity_check', { simple: true }), 'ok')
      assert.deepEqual(database.prepare('SELECT count(*), max(a) FROM t').raw().get(), [500, 500])
      assert.equal(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get(), 1)
      database.close()
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
    }
  })
})

test('a dump is text, of chosen tables too, and a table that does not exist is refused', async () => {
  await withMaker(3, async (world) => {
    assert.match(
      (await bytesOf(world, { format: 'sql' })).toString(),
      /^PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t [^]*COMMIT;\n$/,
    )
    assert.match(gunzipSync(await bytesOf(world, { format: 'sql', compress: true, tables: ['t'] })).toString(), /CREATE TABLE t /)
    const refused = await world.maker.make({ ...wanted, format: 'sql', tables: ['_securesql_state'] })
    assert(!refused.ok && refused.problem.code === 'backup_refused')
  })
})

test('a client that reads nothing holds a process, not memory; when it goes, everything goes', async () => {
  await withMaker(20_000, async (world) => {
    const made = await world.maker.make(wanted)
    assert(made.ok)
    await eventually(() => made.value.readableLength > 0, 'the first bytes are there')
    assert(made.value.readableLength < 1024 * 1024, 'no more than the buffers on the way')
    assert.equal(readdirSync(world.directory).length, 1)
    made.value.destroy()
    await eventually(() => readdirSync(world.directory).length === 0, 'its file is gone')
  })
})

test('two at a time, none without room, and a copy that was interrupted is made again', async () => {
  await withMaker(3_000, async (world) => {
    world.failures.push('replaced', 'replaced')
    const first = await world.maker.make(wanted)
    assert(first.ok)
    assert.equal(world.copies, 3)
    const second = await world.maker.make(wanted)
    const third = await world.maker.make(wanted)
    assert(second.ok && !third.ok && third.problem.code === 'overloaded')
    first.value.destroy()
    second.value.destroy()
    world.free = 1_000
    await eventually(() => readdirSync(world.directory).length === 0, 'both are gone')
    const noRoom = await world.maker.make(wanted)
    assert(!noRoom.ok && noRoom.problem.code === 'no_space')
    world.free = Number.MAX_SAFE_INTEGER
    world.failures.push('a', 'b', 'c')
    const failed = await world.maker.make(wanted)
    assert(!failed.ok && failed.problem.code === 'backup_failed')
    world.failures.push('a')
    const abandoned = await world.maker.make({ ...wanted, isAbandoned: () => true })
    assert(!abandoned.ok)
  })
})

test('a directory that cannot be made keeps no later backup from being made', () =>
  withMaker(1, async (world) => {
    writeFileSync(world.directory, 'in the way')
    for (let times = 0; times < 3; times += 1) await assert.rejects(world.maker.make(wanted), { code: 'ENOTDIR' })
    rmSync(world.directory)
    assert((await bytesOf(world, {})).length > 0)
  }))
