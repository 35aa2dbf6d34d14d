// `npm run e2e:clients`: clients that were written for rqlite, as they are published, against a cluster of real processes over HTTPS with users.
// `--all`: a client that cannot be installed is a failure (for CI); without it the tests of pyrqlite are skipped where there is no Python, those of gorqlite where there is no Go.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installClients } from './installed-clients.ts'
import { clientsVariable } from './suite-clients.ts'

const { values } = parseArgs({ options: { all: { type: 'boolean', default: false } } })
const folder = mkdtempSync(join(tmpdir(), 'securesql-clients-'))
try {
  process.exitCode = await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function run(): Promise<number> {
  const clients = await installClients(folder)
  if (clients.python === undefined && values.all) {
    console.error('e2e:clients: python3 with venv is needed for pyrqlite (Debian: python3-venv)')
    return 1
  }
  if (clients.gorqlite === undefined && values.all) {
    console.error('e2e:clients: Go 1.26 or newer is needed for gorqlite (https://go.dev/dl)')
    return 1
  }
  const suite = join(import.meta.dirname, 'clients.suite.ts')
  const tests = spawn(process.execPath, ['--test', '--test-reporter=spec', '--test-timeout=300000', suite], {
    env: { ...process.env, [clientsVariable]: JSON.stringify(clients) },
    stdio: 'inherit',
  })
  const stop = (): boolean => tests.kill('SIGTERM')
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  await once(tests, 'exit')
  return tests.exitCode ?? 1
}
