import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { openAccess } from './open-access.ts'
import type { OpenedAccess } from './open-access.ts'

const file = (perms: readonly string[]): string => JSON.stringify([{ username: 'bob', password: 'hunter2', perms }])

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'securesql-access-'))
  context.after(() => rm(path, { recursive: true }))
  return path
}

async function open(context: TestContext, path: string | undefined) {
  const lines: string[] = []
  const metrics = new Metrics()
  const logger = makeLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  const opened = await openAccess({ file: path, logger, metrics })
  if (opened.ok) context.after(() => opened.value.close())
  return { opened, log: () => lines.join(''), metrics }
}

async function may(opened: OpenedAccess, permission: 'query' | 'execute'): Promise<boolean> {
  const authorization = `Basic ${Buffer.from('bob:hunter2').toString('base64')}`
  return (await opened.access.decide({ authorization, address: '192.0.2.1' }, [permission])).kind === 'allowed'
}

test('without a file there is no access control', async (context) => {
  const { opened } = await open(context, undefined)
  assert.equal(opened.ok && opened.value.access.enabled, false)
  assert.equal(opened.ok && (await may(opened.value, 'execute')), true)
})

test('a file that is absent, a folder, too large, not UTF-8 or wrong stops the start with a problem', async (context) => {
  const path = await folder(context)
  const cases: readonly [name: string, content: string | Buffer | undefined, code: string][] = [
    ['absent', undefined, 'access_file_unreadable'],
    ['large', `[${' '.repeat(1024 * 1024)}]`, 'access_file_unreadable'],
    ['latin1', Buffer.from([0x5b, 0xff, 0x5d]), 'access_file_unreadable'],
    ['broken', '[{]', 'access_file_not_json'],
    ['wrong', file([]), 'access_entry_without_permissions'],
  ]
  for (const [name, content, code] of cases) {
    if (content !== undefined) await writeFile(join(path, name), content)
    const { opened } = await open(context, join(path, name))
    assert.equal(!opened.ok && opened.problem.code, code, name)
  }
  const { opened } = await open(context, path)
  assert.equal(!opened.ok && opened.problem.code, 'access_file_unreadable')
})

test('a changed file is in force after the next look; a wrong one changes nothing and is reported once with its position', async (context) => {
  const path = join(await folder(context), 'access.json')
  await writeFile(path, file(['query']))
  const { opened, log, metrics } = await open(context, path)
  assert.ok(opened.ok)
  assert.deepEqual([await may(opened.value, 'query'), await may(opened.value, 'execute')], [true, false])
  await writeFile(path, file(['execute']))
  await opened.value.reread()
  assert.deepEqual([await may(opened.value, 'query'), await may(opened.value, 'execute')], [false, true])
  await writeFile(
    path,
    JSON.stringify([
      { username: 'a', password: 'hunter3', perms: ['all'] },
      { username: 'b', perms: ['all'] },
    ]),
  )
  await opened.value.reread()
  await opened.value.reread()
  assert.equal(await may(opened.value, 'execute'), true)
  await rm(path)
  await opened.value.reread()
  assert.equal(await may(opened.value, 'execute'), true)
  const problems = log()
    .split('\n')
    .filter((line) => line.includes('access file refused'))
  assert.equal(problems.length, 2)
  assert.ok(problems[0]?.includes('"position":1') && problems[0].includes('access_entry_without_password'))
  assert.ok(problems[1]?.includes('access_file_unreadable'))
  for (const secret of ['hunter2', 'hunter3']) assert.equal(log().includes(secret), false)
  const text = await metrics.render()
  for (const [outcome, count] of [
    ['loaded', 1],
    ['refused', 1],
    ['unreadable', 1],
  ] as const) {
    assert.ok(text.includes(`securesql_access_file_readings_total{outcome="${outcome}"} ${count}`), outcome)
  }
})

test('a change of the same length in the same instant is seen: contents are compared, not times', async (context) => {
  const path = join(await folder(context), 'access.json')
  await writeFile(path, file(['query', 'backup']))
  const { opened } = await open(context, path)
  assert.ok(opened.ok)
  await writeFile(path, file(['backup', 'query']).replace('backup', 'status'))
  await opened.value.reread()
  await writeFile(path, file(['backup', 'remove']))
  await opened.value.reread()
  assert.equal(await may(opened.value, 'query'), false)
})

test('a symlink swapped two folders up, as Kubernetes does, is followed within seconds without being asked', async (context) => {
  const path = await folder(context)
  await mkdir(join(path, '..1'))
  await writeFile(join(path, '..1', 'access.json'), file(['query']))
  await symlink('..1', join(path, '..data'))
  await symlink(join('..data', 'access.json'), join(path, 'access.json'))
  const { opened } = await open(context, join(path, 'access.json'))
  assert.ok(opened.ok)
  await mkdir(join(path, '..2'))
  await writeFile(join(path, '..2', 'access.json'), file(['execute']))
  await symlink('..2', join(path, '..data_tmp'))
  await rename(join(path, '..data_tmp'), join(path, '..data'))
  const deadlineMs = performance.now() + 120_000
  while (!(await may(opened.value, 'execute')) && performance.now() < deadlineMs) await setTimeout(50)
  assert.deepEqual([await may(opened.value, 'query'), await may(opened.value, 'execute')], [false, true])
})

test('a file with cleartext passwords is taken with a warning that holds none of them', async (context) => {
  const path = join(await folder(context), 'access.json')
  await writeFile(path, file(['query']))
  await chmod(path, 0o600)
  const { log } = await open(context, path)
  assert.ok(log().includes('cleartext passwords'))
  assert.equal(log().includes('hunter2'), false)
})
