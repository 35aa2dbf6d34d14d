import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Database from 'better-sqlite3'
import { examineDatabase } from './snapshot-examination.ts'
import { complaining } from './test-full-text.ts'

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
