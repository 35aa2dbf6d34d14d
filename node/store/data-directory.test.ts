import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDataDirectory } from './data-directory.ts'

function inTemporary(body: (directory: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'data-directory-'))
    try {
      await body(join(directory, 'data'))
    } finally {
      rmSync(directory, { recursive: true })
    }
  }
}

/** A real process that takes the directory, says what came of it and then sleeps. */
async function startHolder(path: string): Promise<{ readonly child: ChildProcess; readonly said: string }> {
  const module = new URL('data-directory.ts', import.meta.url).href
  const program = `
    const { openDataDirectory } = await import(${JSON.stringify(module)})
    const opened = openDataDirectory(${JSON.stringify(path)})
    process.stdout.write(opened.ok ? 'taken' : opened.problem.code)
    if (opened.ok) setInterval(() => opened.value.path, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, said: said.toString() }
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

test(
  'a second process is refused while the first lives, and let in once it was killed',
  inTemporary(async (path) => {
    const first = await startHolder(path)
    try {
      assert.equal(first.said, 'taken')
      const second = await startHolder(path)
      assert.equal(second.said, 'data_dir_locked')
      const here = openDataDirectory(path)
      assert(!here.ok)
      assert.equal(here.problem.code, 'data_dir_locked')
      assert.match(here.problem.message, /in use by another process/)
    } finally {
      await killed(first.child)
    }
    const third = await startHolder(path)
    assert.equal(third.said, 'taken')
    await killed(third.child)
  }),
)

test(
  'asking for a directory that this process already holds is refused, and does not free it for others',
  inTemporary(async (path) => {
    const mine = openDataDirectory(path)
    assert(mine.ok)
    assert.equal(openDataDirectory(path).ok, false)
    assert.equal(openDataDirectory(`${path}/.`).ok, false)
    assert.equal((await startHolder(path)).said, 'data_dir_locked')
    mine.value.release()
    const again = openDataDirectory(path)
    assert(again.ok)
    again.value.release()
  }),
)

test(
  'directory and files are for the owner only, whatever the umask, and are made so when they were not',
  inTemporary((path) => {
    mkdirSync(path, { mode: 0o777 })
    chmodSync(path, 0o777)
    writeFileSync(join(path, 'db.sqlite'), '')
    chmodSync(join(path, 'db.sqlite'), 0o666)
    const opened = openDataDirectory(path)
    assert(opened.ok)
    assert.equal(opened.value.isOpenToOthers, false)
    for (const directory of [path, opened.value.logPath]) assert.equal(statSync(directory).mode & 0o777, 0o700)
    for (const file of ['db.sqlite', 'lock.db']) assert.equal(statSync(join(path, file)).mode & 0o777, 0o600)
    opened.value.release()
  }),
)

test(
  'a path that cannot be a directory is refused with the reason',
  inTemporary((path) => {
    writeFileSync(path, 'a file')
    const opened = openDataDirectory(path)
    assert(!opened.ok)
    assert.equal(opened.problem.code, 'data_dir_unusable')
    assert.match(opened.problem.message, /data/)
  }),
)
