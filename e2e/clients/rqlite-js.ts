// The npm package rqlite-js, as it is published, in this process.
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { ClientProgram, ConnectOptions, Level, Row, SqlClient, Statement } from './client.ts'

/** The part of the package that the suite uses. */
interface Package {
  readonly DataApiClient: new (hosts: readonly string[], options: object) => DataApiClient
}

interface DataApiClient {
  execute(statements: readonly Statement[], options?: { readonly transaction?: boolean }): Promise<DataResults>
  query(statements: readonly Statement[], options?: { readonly level?: Level }): Promise<DataResults>
}

interface DataResults {
  getFirstError(): Error | undefined
  get(index: number): { getLastInsertId(): number | undefined } | undefined
  toArray(): readonly Row[]
}

/** `folder`: where the package was installed. */
export function rqliteJs(folder: string): ClientProgram {
  const { DataApiClient } = createRequire(join(folder, 'package.json'))('rqlite-js') as Package
  return { name: 'rqlite-js', connect: (options) => Promise.resolve(connect(DataApiClient, options)) }
}

function connect(make: Package['DataApiClient'], { ports, caFile, username, password }: ConnectOptions): SqlClient {
  const httpsAgent = new Agent({ ca: readFileSync(caFile), keepAlive: true })
  const hosts = ports.map((port) => `https://127.0.0.1:${port}`)
  const client = new make(hosts, { httpsAgent, authentication: { username, password } })
  const execute = async (statements: readonly Statement[], options?: { readonly transaction: boolean }): Promise<DataResults> =>
    checked(await client.execute(statements, options))
  return {
    execute: async (statement) => (await execute([statement])).get(0)?.getLastInsertId(),
    transaction: async (statements) => void (await execute(statements, { transaction: true })),
    query: async (statement, level) => {
      const rows = checked(await client.query([statement], level === undefined ? {} : { level })).toArray()
      // No rows are one row without columns to this package.
      return rows.filter((row) => Object.keys(row).length > 0)
    },
    queue: undefined,
    queueAndWait: undefined,
    close: () => Promise.resolve(httpsAgent.destroy()),
  }
}

/** The package leaves errors among the results for its user to look for. */
function checked(results: DataResults): DataResults {
  const error = results.getFirstError()
  if (error !== undefined) throw new Error(`rqlite-js: ${error.message}`)
  return results
}
