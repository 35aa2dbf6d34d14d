// What main.ts has installed, as the suite sees it.
import { z } from 'zod'
import type { ClientProgram } from './client.ts'
import { gorqlite, gorqliteByDatabaseSql } from './gorqlite.ts'
import { pyrqlite } from './pyrqlite.ts'
import { rqliteJs } from './rqlite-js.ts'

export const clientsVariable = 'SECURESQL_E2E_CLIENTS'

const installed = z.strictObject({ rqliteJs: z.string(), python: z.string().optional(), gorqlite: z.string().optional() })

const noPython = 'no python3 with venv on this machine'
const noGo = 'no Go on this machine'

/** A string: why this client is not tried. */
export function suiteClients(): readonly { readonly name: string; readonly program: ClientProgram | string }[] {
  const { rqliteJs: folder, python, gorqlite: session } = installedClients()
  return [
    { name: 'rqlite-js', program: rqliteJs(folder) },
    { name: 'pyrqlite', program: python === undefined ? noPython : pyrqlite(python) },
    { name: 'gorqlite', program: session === undefined ? noGo : gorqlite(session) },
    { name: 'gorqlite by database/sql', program: session === undefined ? noGo : gorqliteByDatabaseSql(session) },
  ]
}

/** The program that gorqlite is driven with, for what it alone can do. `skip`: why it is not tried. */
export function gorqliteSession(): { readonly session: string; readonly skip: string | false } {
  const { gorqlite: session } = installedClients()
  return { session: session ?? '', skip: session === undefined ? noGo : false }
}

function installedClients(): z.infer<typeof installed> {
  const text = process.env[clientsVariable]
  if (text === undefined) throw new Error('start this suite with: npm run e2e:clients')
  return installed.parse(JSON.parse(text))
}
