import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { removeInSteps } from './removal-in-steps.ts'

const mebibyte = 1024 * 1024

function withFolder(title: string, body: (folder: string) => Promise<void>): void {
  test(title, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'removal-'))
    try {
      await body(folder)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}

/** Takes no room: it is a hole. */
function largeFile(path: string, megabytes: number): string {
  writeFileSync(path, '')
  truncateSync(path, megabytes * mebibyte)
  return path
}

withFolder('a large file becomes shorter step by step, with a rest behind each, and is gone at the end', async (folder) => {
  const path = largeFile(join(folder, 'large'), 200)
  const sizes: number[] = []
  await removeInSteps(path, { rest: () => Promise.resolve(sizes.push(statSync(path).size / mebibyte)) })
  assert.deepEqual(sizes, [136, 72, 8])
  assert.equal(existsSync(path), false)
})

withFolder('a folder goes with all that is in it; what is missing is no error', async (folder) => {
  const path = join(folder, 'gone')
  mkdirSync(join(path, 'copy'), { recursive: true })
  largeFile(join(path, 'copy', 'large'), 100)
  largeFile(join(path, 'small'), 0)
  let rests = 0
  await removeInSteps(path, { rest: () => Promise.resolve((rests += 1)) })
  assert.equal(rests, 1)
  assert.equal(existsSync(path), false)
  await removeInSteps(path)
})

withFolder('aborted, it takes no further step and removes nothing', async (folder) => {
  const path = largeFile(join(folder, 'large'), 1000)
  const abort = new AbortController()
  await removeInSteps(path, { signal: abort.signal, rest: () => Promise.resolve(abort.abort()) })
  assert.equal(statSync(path).size, 936 * mebibyte)
})
