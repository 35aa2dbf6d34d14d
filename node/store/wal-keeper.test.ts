import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { eventually, meanwhile } from '../replica/eventually.ts'
import { TestMachine } from './test-machine.ts'
import { syncWal } from './wal-sync.ts'

const mebibyte = 1024 * 1024
const deadlineMs = 60_000

async function onThreads(body: (world: TestMachine, walBytes: () => number, write: () => Promise<void>) => Promise<void>): Promise<void> {
  const world = new TestMachine({ elsewhere: 'threads' })
  try {
    await world.run(['CREATE TABLE t (b)'])
    const blob = new Uint8Array(mebibyte / 2)
    const write = async (): Promise<void> => {
      assert.equal((await world.run([['INSERT INTO t VALUES (?)', blob]])).length, 1)
      await new Promise((resolve) => setImmediate(resolve)) // as in a program: the loop turns between two groups
    }
    await body(world, () => statSync(`${world.path}-wal`).size, write)
    assert.deepEqual(world.fatal, [])
  } finally {
    await world.dispose()
  }
}

/** Writes on and on until it holds. */
async function writingUntil(write: () => Promise<void>, condition: () => boolean, what: string): Promise<void> {
  const startedAtMs = performance.now()
  while (!condition()) {
    assert(performance.now() - startedAtMs < deadlineMs, `not within ${deadlineMs} ms: ${what}`)
    await write()
  }
}

test('under writes without a pause the WAL is emptied again and again', async () => {
  await onThreads(async (_, walBytes, write) => {
    for (let round = 0; round < 3; round += 1) {
      await writingUntil(write, () => walBytes() > 3 * mebibyte, 'the WAL grows')
      await writingUntil(write, () => walBytes() < 2 * mebibyte, 'the WAL is emptied')
      assert(walBytes() < 2 * mebibyte)
    }
  })
})

test('a WAL that a read has held is emptied after it, though nothing more is written', async () => {
  await onThreads(async (world, walBytes, write) => {
    const reader = new Database(world.path, { readonly: true })
    try {
      reader.exec('BEGIN')
      reader.prepare('SELECT count(*) FROM t').get()
      await writingUntil(write, () => walBytes() > 8 * mebibyte, 'the WAL grows')
      for (let n = 0; n < 5; n += 1) await meanwhile() // whatever is tried now is in vain
      reader.exec('COMMIT')
      await eventually(() => walBytes() === 0, 'the WAL is emptied')
    } finally {
      reader.close()
    }
  })
})

test('a read that does not end makes the WAL longer, never writes wait for it, and the WAL is emptied when it has ended', async () => {
  await onThreads(async (world, walBytes, write) => {
    const reader = new Database(world.path, { readonly: true })
    try {
      reader.exec('BEGIN')
      reader.prepare('SELECT count(*) FROM t').get()
      await writingUntil(write, () => walBytes() > 24 * mebibyte, 'the WAL grows')
      assert.deepEqual(reader.prepare('SELECT count(*) AS n FROM t').get(), { n: 0 })
      reader.exec('COMMIT')
      await writingUntil(write, () => walBytes() < 2 * mebibyte, 'the WAL is emptied')
    } finally {
      reader.close()
    }
  })
})

test('reads that overlap without a gap do not keep the WAL from being emptied', async () => {
  await onThreads(async (world, walBytes, write) => {
    const readers = [new Database(world.path, { readonly: true }), new Database(world.path, { readonly: true })] as const
    const begin = (reader: Database.Database): void => {
      reader.exec('BEGIN')
      reader.prepare('SELECT count(*) FROM t').get()
    }
    begin(readers[0])
    let turn = 0
    const timer = setInterval(() => {
      turn += 1
      begin(turn % 2 === 0 ? readers[0] : readers[1])
      ;(turn % 2 === 0 ? readers[1] : readers[0]).exec('COMMIT')
    }, 5)
    try {
      await writingUntil(write, () => walBytes() > 3 * mebibyte, 'the WAL grows')
      await writingUntil(write, () => walBytes() < 2 * mebibyte, 'the WAL is emptied')
    } finally {
      clearInterval(timer)
      for (const reader of readers) reader.close()
    }
  })
})

test('a machine without threads empties the WAL in place', async () => {
  const world = new TestMachine()
  try {
    await world.run(['CREATE TABLE t (b)'])
    for (let turn = 0; turn < 40; turn += 1) {
      await world.run([['INSERT INTO t VALUES (zeroblob(?))', mebibyte]])
      assert(statSync(`${world.path}-wal`).size < 16 * mebibyte)
    }
    assert.equal(await world.machine.makeDurable(), 41)
  } finally {
    await world.dispose()
  }
})

test('the barrier syncs the WAL and the directory, each after what it makes durable was written, as the system sees it', (context) => {
  if (spawnSync('/usr/bin/strace', ['-V']).status !== 0) return context.skip('no strace here')
  const directory = mkdtempSync(join(tmpdir(), 'barrier-'))
  try {
    const program = `
      const { TestMachine } = await import(${JSON.stringify(new URL('test-machine.ts', import.meta.url).href)})
      const world = new TestMachine({ elsewhere: 'threads' })
      await world.run(['CREATE TABLE t (a)'])
      await world.run(["INSERT INTO t VALUES ('the last one')"])
      if (await world.machine.makeDurable() !== 2) process.exit(1)
      process.stdout.write('DURABLE')
      process.kill(process.pid, 'SIGKILL')`
    const output = join(directory, 'calls')
    const traced = ['-f', '-y', '-qq', '-e', 'trace=pwrite64,fdatasync,fsync,write', '-o', output]
    const ran = spawnSync('/usr/bin/strace', [...traced, process.execPath, '--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 120_000,
    })
    if (/ptrace|not permitted/i.test(ran.stderr)) return context.skip('strace may not trace here')
    assert.match(ran.stdout, /DURABLE/)
    const calls = readFileSync(output, 'utf8').split('\n')
    const said = calls.findIndex((call) => call.includes('"DURABLE"'))
    const lastWrite = calls.slice(0, said).findLastIndex((call) => /pwrite64\(\d+<[^>]*-wal>/.test(call))
    const walSync = calls.slice(0, said).findLastIndex((call) => /fdatasync\(\d+<[^>]*db\.sqlite-wal>/.test(call))
    const directorySync = calls.slice(0, said).findLastIndex((call) => /fsync\(\d+<[^>]*state-machine-[^>/]*>/.test(call))
    assert(said > 0 && lastWrite >= 0, `no writes of the WAL among ${calls.length} calls`)
    assert(walSync > lastWrite && directorySync > walSync, `write ${lastWrite}, WAL ${walSync}, directory ${directorySync}, said ${said}`)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a WAL that cannot be synced is a failure of the environment, not something to try again', () => {
  const directory = mkdtempSync(join(tmpdir(), 'no-wal-'))
  try {
    writeFileSync(join(directory, 'db.sqlite'), '')
    assert.throws(() => syncWal(join(directory, 'db.sqlite')), /the WAL could not be synced/)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
