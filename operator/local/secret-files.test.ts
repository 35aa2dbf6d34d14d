import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { writeSecretFiles } from './secret-files.ts'

function contents(files: Readonly<Record<string, string>>): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]))
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-secret-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('files of a Secret can be read by us alone', async (t) => {
  const folder = folderFor(t)
  await writeSecretFiles(folder, contents({ 'tls.key': 'key', 'deep/er.txt': 'x' }))
  assert.equal(readFileSync(join(folder, 'tls.key'), 'utf8'), 'key')
  assert.equal(readFileSync(join(folder, 'deep/er.txt'), 'utf8'), 'x')
  assert.equal(statSync(join(folder, 'tls.key')).mode & 0o777, 0o600)
  assert.equal(statSync(join(folder, '..data/')).mode & 0o777, 0o700)
})

test('an unchanged Secret touches nothing', async (t) => {
  const folder = folderFor(t)
  assert.equal(await writeSecretFiles(folder, contents({ a: '1' })), true)
  const before = readdirSync(folder)
  assert.equal(await writeSecretFiles(folder, contents({ a: '1' })), false)
  assert.deepEqual(readdirSync(folder), before)
})

test('a change swaps all files at once, and what is gone from the Secret is gone', async (t) => {
  const folder = folderFor(t)
  await writeSecretFiles(folder, contents({ crt: 'one', key: 'one', old: 'x' }))
  // A reader that has opened the folder of one state never sees a file of the other: each state has a folder of its own behind one link.
  const first = readdirSync(folder).find((name) => name.startsWith('..data-'))
  await writeSecretFiles(folder, contents({ crt: 'two', key: 'two', fresh: 'y' }))
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => !name.startsWith('..'))
      .sort(),
    ['crt', 'fresh', 'key'],
  )
  assert.equal(readFileSync(join(folder, 'crt'), 'utf8') + readFileSync(join(folder, 'key'), 'utf8'), 'twotwo')
  assert.equal(readdirSync(folder).includes(first ?? ''), false)
})

test('what a killed run left half-done does not stop the next change', async (t) => {
  const folder = folderFor(t)
  await writeSecretFiles(folder, contents({ a: '1' }))
  symlinkSync('..nowhere', join(folder, '..data_tmp'))
  await writeSecretFiles(folder, contents({ a: '2' }))
  assert.equal(readFileSync(join(folder, 'a'), 'utf8'), '2')
})

for (const path of ['../outside', '/etc/passwd', 'a/../../outside', '..data/x', '.']) {
  test(`a key may not be written to ${path}`, async (t) => {
    await assert.rejects(writeSecretFiles(folderFor(t), contents({ [path]: 'x' })), RangeError)
  })
}
