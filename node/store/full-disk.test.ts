// A file system that is really full, as small as it must be. Needs the right to mount one.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import type { CommandOutcome } from '../command/command.ts'
import { eventually } from '../replica/eventually.ts'
import type { FatalProblem } from './fatal.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { command, failed, logOf, withoutTime, written } from './test-machine.ts'
import { openWriteConnection } from './write-connection.ts'

async function onSmallDisk(context: TestContext, size: string, body: (mount: string) => Promise<void>): Promise<void> {
  const mount = mkdtempSync(join(tmpdir(), 'small-'))
  try {
    const mounted = spawnSync('/usr/bin/mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', mount], { encoding: 'utf8' })
    if (mounted.status !== 0) return context.skip(`no file system can be mounted here: ${mounted.stderr}`)
    await body(mount)
  } finally {
    spawnSync('/usr/bin/umount', [mount])
    rmSync(mount, { recursive: true, force: true })
  }
}

for (const elsewhere of ['nowhere', 'threads'] as const)
  test(`on a full file system the machine halts: nothing is recorded, what was applied before is whole (elsewhere: ${elsewhere})`, async (context) => {
    await onSmallDisk(context, '2m', async (mount) => {
      const path = join(mount, 'db.sqlite')
      writeFileSync(path, '')
      const fatal: FatalProblem[] = []
      const machine = new SqliteStateMachine(openWriteConnection(path), { onFatal: (problem) => fatal.push(problem), elsewhere })
      let told = 0
      machine.onApplied((applied) => (told = applied.at(-1)?.index ?? told))
      const big = command([['INSERT INTO t VALUES (zeroblob(?))', 300_000]])
      for (const entry of logOf([command(['CREATE TABLE t (b)']), ...Array.from({ length: 20 }, () => big)])) {
        machine.apply([entry])
        await eventually(() => told === entry.index || fatal.length > 0, 'the entry is applied, or the disk is full')
      }
      assert.deepEqual(
        fatal.map(({ code }) => code),
        ['database_failed'],
      )
      assert.match(fatal[0]?.message ?? '', /SQLITE_(FULL|IOERR)/)
      assert(told > 1 && told < 21, `applied up to ${told}`)
      await machine.close()
      const database = new Database(path, { readonly: true })
      assert.deepEqual(database.prepare('SELECT applied_index, (SELECT count(*) FROM t) FROM _securesql_state').raw().get(), [
        told,
        told - 1,
      ])
      assert.equal(database.pragma('integrity_check', { simple: true }), 'ok')
      database.close()
    })
  })

for (const elsewhere of ['nowhere', 'threads'] as const)
  test(`a VACUUM that finds no room on a full file system leaves the database as it was, and nothing beside it (elsewhere: ${elsewhere})`, async (context) => {
    await onSmallDisk(context, '6m', async (mount) => {
      const path = join(mount, 'db.sqlite')
      writeFileSync(path, '')
      const warned: unknown[] = []
      const warn = (fields: unknown): number => warned.push(fields)
      const machine = new SqliteStateMachine(openWriteConnection(path), {
        onFatal: (problem) => assert.fail(problem.message),
        elsewhere,
        // Asked before it begins; in the thread the real one says no.
        readFreeBytes: () => Number.MAX_SAFE_INTEGER,
        logger: { info: () => {}, warn, error: () => {} },
      })
      const results: unknown[] = []
      machine.onApplied((applied) => {
        for (const { outcome } of applied) results.push(...(outcome as CommandOutcome).results.map(withoutTime))
      })
      const big = command([['INSERT INTO t VALUES (zeroblob(?))', 1_200_000]])
      for (const entry of logOf([
        command(['CREATE TABLE t (b)']),
        big,
        big,
        big,
        command(['VACUUM']),
        command(['INSERT INTO t VALUES (7)']),
      ])) {
        machine.apply([entry])
        await eventually(() => results.length === entry.index, 'the entry is applied')
      }
      assert.deepEqual(results.slice(4), [failed('database or disk is full'), written(4, 1)])
      assert.deepEqual(warned, [{ index: 5, reason: 'database or disk is full' }])
      assert.deepEqual(readdirSync(join(mount, 'snapshots')), [])
      await machine.close()
      const database = new Database(path, { readonly: true })
      assert.deepEqual(database.prepare('SELECT applied_index, (SELECT count(*) FROM t) FROM _securesql_state').raw().get(), [6, 4])
      assert.equal(database.pragma('integrity_check', { simple: true }), 'ok')
      database.close()
    })
  })
