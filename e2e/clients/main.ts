// `npm run e2e:clients`: clients that were written for rqlite, as they are published, against a cluster of real processes over HTTPS with users.
// `--all`: a client that cannot be installed is a failure (for CI); without it the tests of pyrqlite are skipped where there is no Python, those of gorqlite where there is no Go.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runNodeTests } from '../node-runner.ts'
import { installClients } from './installed-clients.ts'
import { clientsVariable } from './suite-clients.ts'

// It only ends what hangs: the machine may be loaded.
const testTimeoutMs = 300_000

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
  return await runNodeTests({
    arguments: [`--test-timeout=${testTimeoutMs}`, suite],
    environment: { ...process.env, [clientsVariable]: JSON.stringify(clients) },
    silentMsMax: testTimeoutMs + 60_000,
  })
}
