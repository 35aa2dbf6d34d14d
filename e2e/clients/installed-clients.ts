// The clients, installed into a folder of their own from exact versions and hashes: nothing of them enters this project's own dependencies.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * For the suite's own process. `python`: an interpreter that can import pyrqlite; undefined: this machine has none. `gorqlite`: the program that drives it; undefined:
 * this machine has no Go.
 */
export interface InstalledClients {
  readonly rqliteJs: string
  readonly python: string | undefined
  readonly gorqlite: string | undefined
}

// A download on a slow line, or a compiler that begins from nothing on a busy machine; it only ends what hangs.
const installMsMax = 600_000

export async function installClients(folder: string): Promise<InstalledClients> {
  return {
    rqliteJs: await installRqliteJs(join(folder, 'rqlite-js')),
    python: await installPyrqlite(join(folder, 'pyrqlite')),
    gorqlite: await buildGorqlite(join(folder, 'gorqlite')),
  }
}

async function installRqliteJs(folder: string): Promise<string> {
  mkdirSync(folder)
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(import.meta.dirname, 'rqlite-js', file), join(folder, file))
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, timeout: installMsMax })
  return folder
}

async function installPyrqlite(folder: string): Promise<string | undefined> {
  if (!(await canMakeEnvironments())) return undefined
  await run('python3', ['-m', 'venv', folder], { timeout: installMsMax })
  const python = join(folder, 'bin', 'python3')
  const files = join(import.meta.dirname, 'pyrqlite')
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes', '--requirement']
  await run(python, [...pip, join(files, 'build-requirements.txt')], { timeout: installMsMax })
  await run(python, [...pip, join(files, 'requirements.txt'), '--no-build-isolation'], { timeout: installMsMax })
  return python
}

/** Debian has `venv` in a package of its own. */
async function canMakeEnvironments(): Promise<boolean> {
  try {
    await run('python3', ['-c', 'import venv, ensurepip'])
    return true
  } catch {
    return false // no python3, or one without them
  }
}

async function buildGorqlite(folder: string): Promise<string | undefined> {
  const source = join(import.meta.dirname, 'gorqlite')
  if (!(await hasGo())) return undefined
  mkdirSync(folder)
  const session = join(folder, 'session')
  // `readonly`: what go.mod and go.sum do not name is an error. Without cgo it needs no C compiler.
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly']
  await run('go', ['build', ...flags, '-o', session, '.'], {
    cwd: source,
    timeout: installMsMax,
    env: { ...process.env, CGO_ENABLED: '0' },
  })
  return session
}

async function hasGo(): Promise<boolean> {
  try {
    await run('go', ['version'])
    return true
  } catch {
    return false // not on PATH
  }
}
