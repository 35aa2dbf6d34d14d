import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { systemClock } from '../controller/clock.ts'
import { makeDemoFolder, openToOthers, removeStaleDemos } from './demo-folder.ts'
import { identityOf } from './process-identity.ts'

const uid = process.getuid?.()

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-stale-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('the folder of a running demo stays, and is for its user alone', async (t) => {
  const root = temporary(t)
  const folder = await makeDemoFolder(root, process.pid)
  assert.deepEqual(await removeStaleDemos(root, uid, systemClock), [])
  assert.equal(statSync(folder).mode & 0o777, 0o700)
})

test('the folder of a demo that was killed goes, and so do the processes that it left', async (t) => {
  const root = temporary(t)
  const demo = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const folder = await makeDemoFolder(root, demo.pid ?? 0)
  const node = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true })
  mkdirSync(join(folder, 'pods', 'default_orders-0'), { recursive: true })
  writeFileSync(join(folder, 'pods', 'default_orders-0', 'pid.json'), JSON.stringify(identityOf(node.pid ?? 0)))
  demo.kill('SIGKILL')
  await once(demo, 'exit')
  const exited = once(node, 'exit')
  assert.deepEqual(await removeStaleDemos(root, uid, systemClock), [folder])
  assert.deepEqual(await exited, [null, 'SIGKILL'])
  assert.equal(existsSync(folder), false)
})

test('what only looks like a folder of a demo is not touched', async (t) => {
  const root = temporary(t)
  const elsewhere = mkdtempSync(join(root, 'elsewhere-'))
  writeFileSync(join(elsewhere, 'owner.json'), JSON.stringify({ pid: 999_999_999, started: '1' }))
  symlinkSync(elsewhere, join(root, 'securesql-demo-link'))
  mkdirSync(join(root, 'securesql-demo-new'))
  writeFileSync(join(root, 'securesql-demo-file'), '')
  const foreign = await makeDemoFolder(root, process.pid)
  writeFileSync(join(foreign, 'owner.json'), JSON.stringify({ pid: 999_999_999, started: '1' }))
  assert.deepEqual(await removeStaleDemos(root, (uid ?? 0) + 1, systemClock), [])
  rmSync(foreign, { recursive: true })
  assert.deepEqual(await removeStaleDemos(root, uid, systemClock), [])
  assert.equal(existsSync(elsewhere), true)
})

test('a file or folder that others may reach is found, at any depth', async (t) => {
  const root = temporary(t)
  mkdirSync(join(root, 'closed', 'open'), { recursive: true, mode: 0o700 })
  writeFileSync(join(root, 'closed', 'open', 'key'), '', { mode: 0o600 })
  symlinkSync('key', join(root, 'closed', 'open', 'link'))
  assert.deepEqual(await openToOthers(root), [])
  chmodSync(join(root, 'closed', 'open', 'key'), 0o640)
  chmodSync(join(root, 'closed', 'open'), 0o711)
  assert.deepEqual([...(await openToOthers(root))].sort(), [join(root, 'closed', 'open'), join(root, 'closed', 'open', 'key')])
})
