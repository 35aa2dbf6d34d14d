import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import Database from 'better-sqlite3'
import { eventually } from '../replica/eventually.ts'
import { examineDatabase, type ExaminationOptions } from './snapshot-examination.ts'
import { complaining } from './test-full-text.ts'
import { processes, startedBy, starterOf } from './test-processes.ts'

let directory = ''
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'examined-'))
})
after(() => rmSync(directory, { recursive: true }))

async function examined(name: string, statements: readonly string[], changePage?: number): Promise<string> {
  const path = join(directory, name)
  const database = new Database(path)
  for (const sql of statements) database.exec(sql)
  database.close()
  if (changePage !== undefined) {
    const descriptor = openSync(path, 'r+')
    writeSync(descriptor, Buffer.alloc(64, 0xff), 0, 64, (changePage - 1) * 4096)
    closeSync(descriptor)
  }
  const bytes = statSync(path).size
  const found = await examineDatabase(path, { bytes })
  const compared = await examineDatabase(path, { bytes, indexes: 'compared' })
  assert.equal(found.ok, compared.ok)
  return found.ok ? 'sound' : found.problem
}

for (const [name, statements] of Object.entries(complaining)) {
  test(`a database is not refused for what clients can do to a full-text table: ${name}`, async () => {
    assert.equal(await examined(name, statements), 'sound')
  })
}

test('damage beside such a table is found', async () => {
  const statements = [...complaining['texts were added behind its back'], 'CREATE TABLE last (a)', 'INSERT INTO last VALUES (1)']
  const path = join(directory, 'pages')
  const database = new Database(path)
  for (const sql of statements) database.exec(sql)
  const page = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'last'").pluck().get() as number // an INTEGER
  database.close()
  assert.notEqual(await examined('damaged', statements, page), 'sound')
})

// A named pipe without a writer keeps its reader for ever.
describe('a process that examines and is ended', () => {
  const mine = (): readonly number[] => startedBy(process.pid, directory)
  const inThePipe = async (options: Partial<ExaminationOptions>, body: (path: string) => Promise<void>): Promise<string> => {
    const path = join(directory, randomUUID())
    assert.equal(spawnSync('mkfifo', [path]).status, 0)
    const examining = examineDatabase(path, { bytes: 0, ...options })
    await body(path)
    const found = await examining
    await eventually(() => processes(path).length === 0, 'none of those that were started is left')
    return found.ok ? 'sound' : found.problem
  }
  const begun = async (before: readonly number[] = []): Promise<number> => {
    await eventually(() => mine().some((pid) => !before.includes(pid)), 'it reads')
    return mine().find((pid) => !before.includes(pid)) ?? 0
  }
  const killStarter = (): boolean => process.kill(starterOf(process.pid) ?? 0, 'SIGKILL')

  test('by the end of the one that starts them all: the file is examined again', async () => {
    const sound = join(directory, 'sound')
    const database = new Database(sound)
    database.exec('CREATE TABLE t (a)')
    database.close()
    const found = await inThePipe({}, async (path) => {
      await begun()
      killStarter()
      // Nothing has been heard of that yet.
      renameSync(sound, path)
    })
    assert.equal(found, 'sound')
  })

  test('twice: nothing is said for the file', async () => {
    const found = await inThePipe({}, async () => {
      const first = await begun()
      killStarter()
      process.kill(await begun([first]), 'SIGKILL')
    })
    assert.equal(found, 'the process that examined it has ended: SIGKILL')
  })

  test('by its own limit of memory: that is the file’s doing', async () => {
    const found = await inThePipe({}, async () => void process.kill(await begun(), 'SIGUSR2'))
    assert.equal(found, 'the process that examined it has ended: SIGUSR2')
  })

  test('by its limit of time', async () => {
    assert.equal(await inThePipe({ msMax: 1 }, async () => {}), 'it takes too long to be read')
  })
})

test('where no process can be started nothing is said about the file', () => {
  const program = `
    process.execPath = '/nowhere'
    const { examineDatabase } = await import('${new URL('snapshot-examination.ts', import.meta.url).href}')
    await examineDatabase('any', { bytes: 0 }).then(console.log, ({ message }) => console.log('rejected: ' + message))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 60_000 })
  assert.equal(stdout, 'rejected: no process to examine a database: spawn /nowhere ENOENT\n', stderr)
})
