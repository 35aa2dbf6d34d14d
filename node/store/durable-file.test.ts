import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { replaceDurably } from './durable-file.ts'

test('a file that finds room for a part of it only leaves the old one as it was', () => {
  const directory = mkdtempSync(join(tmpdir(), 'durable-file-'))
  try {
    const path = join(directory, 'file')
    replaceDurably(path, 'old')
    // The limit on the size of a file does what a disk with little room may do: the first write takes a part and says so, the next one fails.
    const module = new URL('durable-file.ts', import.meta.url).href
    const program = `const { replaceDurably } = await import(${JSON.stringify(module)}); replaceDurably(${JSON.stringify(path)}, 'new'.repeat(10_000))`
    const ended = spawnSync('sh', ['-c', 'ulimit -f 8; exec "$0" --input-type=module -e "$1"', process.execPath, program])
    assert.notEqual(ended.status, 0)
    assert.equal(readFileSync(path, 'utf8'), 'old')
    replaceDurably(path, 'new')
    assert.equal(readFileSync(path, 'utf8'), 'new')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
