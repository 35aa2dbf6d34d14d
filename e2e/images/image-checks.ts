// What is checked of each image, by running it: `buildah run` with the image's own entrypoint and user.
import assert from 'node:assert/strict'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { podLayout } from '../../contract/admin-api.ts'
import { freePorts } from '../apiserver/free-ports.ts'
import { ProcessGroup } from '../apiserver/process-group.ts'
import { waitUntil } from '../apiserver/wait-until.ts'
import type { Buildah } from './buildah.ts'
import { imageFacts, imageName, type Target } from './target-image.ts'

export interface ImageCheck {
  readonly title: string
  readonly check: () => Promise<void>
}

const user = '1000:1000'
/** A cold start of Node on two busy cores. */
const answerDeadlineMs = 240_000

export function imageChecks(buildah: Buildah): readonly ImageCheck[] {
  const both = (['node', 'operator'] as const).flatMap((target) => [
    { title: `${target}: runs as a user without privileges, by number`, check: () => checkUser(buildah, target) },
    { title: `${target}: holds no package manager, no tests and no sources of the other side`, check: () => checkContent(buildah, target) },
    { title: `${target}: answers --help`, check: () => checkHelp(buildah, target) },
  ])
  const compiled = {
    title: 'node: starts from what was compiled with the image, and cannot change it',
    check: () => checkCompiled(buildah),
  }
  return [
    ...both,
    compiled,
    { title: 'node: serves /readyz?noleader over loopback and ends on SIGTERM', check: () => checkServing(buildah) },
  ]
}

async function checkUser(buildah: Buildah, target: Target): Promise<void> {
  assert.equal((await imageFacts(buildah, target)).user, user)
  const ids = await inContainer(buildah, target, (container) =>
    runIn(buildah, container, ['node', '-p', '`${process.getuid()}:${process.getgid()}`']),
  )
  assert.equal(ids, user)
}

async function checkContent(buildah: Buildah, target: Target): Promise<void> {
  const script = `
    const fs = require('node:fs')
    const files = fs.readdirSync('.', { recursive: true }).filter((file) => !file.startsWith('node_modules'))
    const programs = fs.readdirSync('/usr/local/bin')
    console.log(JSON.stringify({ files, programs, dev: fs.existsSync('node_modules/typescript') }))`
  const text = await inContainer(buildah, target, (container) => runIn(buildah, container, ['node', '-e', script]))
  const { files, programs, dev } = JSON.parse(text) as { files: string[]; programs: string[]; dev: boolean }
  assert.deepEqual(programs, ['node'])
  assert.equal(dev, false, 'development dependencies are in the image')
  assert.deepEqual(new Set(files.map((file) => file.split('/')[0])), new Set(['LICENSE', 'contract', target, 'package.json', 'runtime']))
  assert.deepEqual(
    files.filter((file) => file.endsWith('.test.ts') || file.startsWith('operator/local')),
    [],
  )
}

/** The cache is run like the sources, so it must be as much out of reach. */
async function checkCompiled(buildah: Buildah): Promise<void> {
  const script = `
    const fs = require('node:fs')
    const directory = process.env.NODE_COMPILE_CACHE
    const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    const paths = [directory, ...entries.map(({ parentPath, name }) => parentPath + '/' + name)]
    const mayWrite = (path) => { try { fs.accessSync(path, fs.constants.W_OK); return true } catch { return false } }
    const mayRead = (path) => { try { fs.accessSync(path, fs.constants.R_OK); return true } catch { return false } }
    console.log(JSON.stringify({ files: paths.length, writable: paths.filter(mayWrite), unreadable: paths.filter((path) => !mayRead(path)) }))`
  const text = await inContainer(buildah, 'node', (container) => runIn(buildah, container, ['node', '-e', script]))
  const found = JSON.parse(text) as { files: number; writable: string[]; unreadable: string[] }
  assert.deepEqual({ writable: found.writable, unreadable: found.unreadable }, { writable: [], unreadable: [] })
  assert(found.files > 100, `${found.files} files`)
}

async function checkHelp(buildah: Buildah, target: Target): Promise<void> {
  const { entrypoint } = await imageFacts(buildah, target)
  assert.deepEqual(entrypoint, ['node', `${target}/main.ts`])
  const help = await inContainer(buildah, target, (container) => runIn(buildah, container, [...entrypoint, '--help']))
  assert.match(help, /-[a-z-]+/)
}

async function checkServing(buildah: Buildah): Promise<void> {
  const { entrypoint } = await imageFacts(buildah, 'node')
  const folder = await mkdtemp(join(tmpdir(), 'securesql-image-check-'))
  const dataDir = await mkdtemp(join(tmpdir(), 'securesql-image-data-'))
  await chown(dataDir, 1000, 1000)
  const group = new ProcessGroup(folder)
  try {
    await inContainer(buildah, 'node', async (container) => {
      const [apiPort, raftPort] = await freePorts(2)
      const flags = ['-node-id', 'one', '-http-addr', `127.0.0.1:${apiPort}`, '-raft-addr', `127.0.0.1:${raftPort}`]
      const { program, args } = buildah.command([
        'run',
        '--user',
        user,
        '--volume',
        `${dataDir}:${podLayout.dataDir}`,
        container,
        '--',
        ...entrypoint,
        ...flags,
        podLayout.dataDir,
      ])
      group.start({ name: 'node', program, args, environment: buildah.environment })
      await waitUntil({ what: '/readyz?noleader answering 200', deadlineMs: answerDeadlineMs }, async () => {
        if (!group.isRunning('node')) throw new Error(`the node ended:\n${await group.logTail('node')}`)
        const answer = await fetch(`http://127.0.0.1:${apiPort}/readyz?noleader`).catch(() => undefined)
        return answer?.status === 200 ? true : undefined
      })
      await group.stop('node')
    })
  } finally {
    await group.close()
    await rm(folder, { recursive: true, force: true })
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** A container of the image for as long as `work` runs. */
async function inContainer<Value>(buildah: Buildah, target: Target, work: (container: string) => Promise<Value>): Promise<Value> {
  const container = await buildah.run(['from', '--pull=never', imageName(target)])
  try {
    return await work(container)
  } finally {
    await buildah.run(['rm', container])
  }
}

function runIn(buildah: Buildah, container: string, command: readonly string[]): Promise<string> {
  return buildah.run(['run', '--user', user, container, '--', ...command])
}
