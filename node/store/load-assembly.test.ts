// The end of a load on a machine that is broken: what the file is not to blame for must not be answered as if it were.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { encodeLoadStep } from '../command/load-step.ts'
import { makeEntry } from '../raft/entry.ts'
import { openBookkeeping } from './bookkeeping.ts'
import { assembleLoad } from './load-assembly.ts'
import { LoadStaging } from './load-staging.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'

const id = 'a'.repeat(32)

test('a page of ours that is broken on this node alone is no refusal of the file, which the others take', () => {
  const directory = mkdtempSync(join(tmpdir(), 'load-assembly-'))
  try {
    const file = join(directory, 'file.sqlite')
    new Database(file).exec('CREATE TABLE t (a)').close()
    const data = readFileSync(file)
    const path = join(directory, 'db.sqlite')
    const staged = new Database(path)
    openBookkeeping(staged)
    staged.exec('CREATE TABLE _securesql_other (a)')
    const root = staged.prepare("SELECT rootpage FROM sqlite_schema WHERE name = '_securesql_other'").pluck().get() as number
    new LoadStaging(staged).run({ kind: 'load-begin', id, bytes: data.length })
    new LoadStaging(staged).run({ kind: 'load-chunk', id, offset: 0, data })
    staged.close()
    const descriptor = openSync(path, 'r+')
    writeSync(descriptor, Buffer.alloc(4096, 0xff), 0, 4096, (root - 1) * 4096)
    closeSync(descriptor)
    const step = {
      kind: 'load-end',
      id,
      bytes: data.length,
      hash: createHash('sha256').update(data).digest('hex'),
      onto: 'anything',
    } as const
    const entry = makeEntry({ index: 1, term: 1, kind: 'command', payload: encodeLoadStep(step) })
    const database = new Database(path)
    try {
      assert.throws(() => assembleLoad({ database, path: join(directory, 'next.sqlite'), entry, step }), EnvironmentFailure)
    } finally {
      database.close()
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})
