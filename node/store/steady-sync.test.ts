import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../replica/eventually.ts'
import { syncSteadily } from './steady-sync.ts'

/** How often this process has the file open. */
function openedTimes(path: string): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === path
    } catch {
      return false // the descriptor of the listing itself
    }
  }).length
}

test('when it has ended the file is closed, at whatever moment it was told to', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'steady-sync-'))
  const path = join(directory, 'file')
  try {
    const moments = 30
    let wasOpen = 0
    for (let turns = 0; turns < moments; turns += 1) {
      writeFileSync(path, Buffer.alloc(8 * 1024 * 1024))
      const stop = syncSteadily(path, (error) => assert.fail(error))
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      wasOpen += openedTimes(path)
      await stop()
      assert.equal(openedTimes(path), 0)
    }
    assert(wasOpen > 0, 'one of the moments was within a sync')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a file that is not there yet, or any more, is no error; a place that cannot be looked into is one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'steady-sync-'))
  try {
    await syncSteadily(join(directory, 'nothing'), (error) => assert.fail(error))()
    writeFileSync(join(directory, 'file'), '')
    const errors: Error[] = []
    const stop = syncSteadily(join(directory, 'file', 'below'), (error) => errors.push(error))
    await eventually(() => errors.length === 1, 'it is told')
    await stop()
  } finally {
    rmSync(directory, { recursive: true })
  }
})
