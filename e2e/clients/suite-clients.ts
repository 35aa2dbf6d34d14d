// What main.ts has installed, as the suite sees it.
import { z } from 'zod'
import type { ClientProgram } from './client.ts'
import { pyrqlite } from './pyrqlite.ts'
import { rqliteJs } from './rqlite-js.ts'

export const clientsVariable = 'SECURESQL_E2E_CLIENTS'

const installed = z.strictObject({ rqliteJs: z.string(), python: z.string().optional() })

/** A string: why this client is not tried. */
export function suiteClients(): readonly { readonly name: string; readonly program: ClientProgram | string }[] {
  const text = process.env[clientsVariable]
  if (text === undefined) throw new Error('start this suite with: npm run e2e:clients')
  const { rqliteJs: folder, python } = installed.parse(JSON.parse(text))
  return [
    { name: 'rqlite-js', program: rqliteJs(folder) },
    { name: 'pyrqlite', program: python === undefined ? 'no python3 with venv on this machine' : pyrqlite(python) },
  ]
}
