import assert from 'node:assert/strict'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import { makeLogger } from '../../runtime/log.ts'
import { eventually, meanwhile } from '../replica/eventually.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { BackupOptions } from '../api/backups.ts'
import type { CopyUnderWay } from '../store/database-copier.ts'
import { processes, startedBy, starterOf } from '../store/test-processes.ts'
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
  /** Before the maker hears of it. */
  onCopied: (path: string) => void
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
      world.onCopied(path)
    }
    return { finished: Promise.resolve(problem === undefined ? ok(undefined) : fail(problem)), stop: () => {} }
  }
  const world: World = {
    directory,
    failures,
    free: Number.MAX_SAFE_INTEGER,
    copies: 0,
    onCopied: () => {},
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

function writers(): readonly number[] {
  return startedBy(process.pid, 'backup-writer')
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

test('a client that reads nothing holds files, not memory; when it goes, everything goes', async () => {
  await withMaker(20_000, async (world) => {
    for (const format of ['binary', 'sql'] as const) {
      const made = await world.maker.make({ ...wanted, format })
      assert(made.ok)
      await eventually(() => made.value.readableLength > 0, 'the first bytes are there')
      assert(made.value.readableLength < 1024 * 1024, 'no more than the buffers on the way')
      assert.equal(readdirSync(world.directory).length, 1)
      if (format === 'binary') await eventually(() => writers().length === 0, 'nothing is left to be done')
      else assert.equal(writers().length, 1)
      made.value.destroy()
      await eventually(() => readdirSync(world.directory).length === 0, 'its files are gone')
      assert.deepEqual(writers(), [])
    }
  })
})

test('text lies on the disk in two parts at most, however long it is', async () => {
  await withMaker(20_000, async (world) => {
    const made = await world.maker.make({ ...wanted, format: 'sql' })
    assert(made.ok)
    const [name = ''] = readdirSync(world.directory)
    const seen = new Set<string>()
    let text = ''
    for await (const chunk of made.value) {
      const parts = readdirSync(join(world.directory, name)).filter((file) => file.includes('-part-'))
      assert(parts.length <= 2, parts.join())
      for (const part of parts) seen.add(part)
      text += String(chunk)
    }
    assert(seen.size > 10, `${seen.size} parts`)
    const database = new Database(':memory:')
    database.exec(text)
    assert.deepEqual(database.prepare('SELECT count(*), max(a), sum(length(b)) FROM t').raw().get(), [20_000, 20_000, 20_000_000])
    database.close()
  })
})

test('text of a database that turns out to be damaged breaks off there', { timeout: 120_000 }, async () => {
  await withMaker(20_000, async (world) => {
    // In the third part, which is made while nobody asks for it, and in a later one.
    for (const share of [0.125, 0.75]) {
      world.onCopied = (path) => {
        const descriptor = openSync(path, 'r+')
        writeSync(descriptor, Buffer.alloc(4096, 0xff), 0, 4096, Math.floor((statSync(path).size * share) / 4096) * 4096)
        closeSync(descriptor)
      }
      const made = await world.maker.make({ ...wanted, format: 'sql' })
      assert(made.ok)
      const [name = ''] = readdirSync(world.directory)
      await eventually(() => existsSync(join(world.directory, name, 'copy-1.sqlite-part-2')), 'the second part is there')
      await meanwhile()
      await assert.rejects(buffer(made.value), /database disk image is malformed/)
    }
  })
})

describe('the end of the process that starts the others', () => {
  const kill = (): boolean => process.kill(starterOf(process.pid) ?? 0, 'SIGKILL')

  test('before the writer has said anything ends a backup with a code, and the next one is made', () =>
    withMaker(10, async (world) => {
      await bytesOf(world, {})
      world.onCopied = () => kill() // what is asked of it from here on, it no longer does
      const failed = await world.maker.make(wanted)
      assert(!failed.ok && failed.problem.code === 'backup_failed')
      // Whoever has the database locked keeps the writer waiting.
      let lock: Database.Database | undefined
      world.onCopied = (path) => {
        lock = new Database(path)
        lock.exec('BEGIN EXCLUSIVE')
      }
      const waiting = world.maker.make(wanted)
      await eventually(() => writers().length === 1, 'there is a writer')
      kill()
      const ended = await waiting
      assert(!ended.ok && ended.problem.code === 'backup_failed')
      lock?.close()
      world.onCopied = () => {}
      for (let times = 0; times < 3; times += 1) assert((await bytesOf(world, {})).length > 0, 'no place is taken for good')
    }))

  test('in the middle of a text breaks it off', () =>
    withMaker(20_000, async (world) => {
      for (const compress of [false, true]) {
        const made = await world.maker.make({ ...wanted, format: 'sql', compress })
        assert(made.ok)
        await eventually(() => made.value.readableLength > 0, 'the first bytes are there')
        kill()
        await assert.rejects(buffer(made.value), /has ended: the process that had started it has ended/)
        await eventually(() => processes(world.directory).length === 0, 'the writer is gone')
      }
    }))

  test('in the middle of a file changes nothing: the file is there', () =>
    withMaker(20_000, async (world) => {
      const made = await world.maker.make(wanted)
      assert(made.ok)
      await eventually(() => made.value.readableLength > 0, 'the first bytes are there')
      kill()
      assert((await buffer(made.value)).length > 20_000_000)
    }))
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
