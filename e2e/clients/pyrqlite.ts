// The PyPI package pyrqlite, as it is published, in a process of Python.
import { join } from 'node:path'
import { z } from 'zod'
import type { ClientProgram, ConnectOptions, SqlClient, Statement } from './client.ts'
import { row, startClientProcess } from './client-process.ts'

const answer = z.union([
  z.strictObject({ rows: z.array(row) }),
  z.strictObject({ lastrowid: z.int().nullable() }),
  z.strictObject({ rowcount: z.int() }),
])
type Answer = z.infer<typeof answer>

/** `python`: an interpreter that can import the package. */
export function pyrqlite(python: string): ClientProgram {
  return { name: 'pyrqlite', connect: (options) => Promise.resolve(connect(python, options)) }
}

function connect(python: string, { ports, caFile, username, password }: ConnectOptions): SqlClient {
  const { ask, close } = startClientProcess({
    name: 'pyrqlite',
    program: python,
    arguments: [join(import.meta.dirname, 'pyrqlite', 'session.py')],
    about: { port: ports[0], caFile, username, password },
    answer,
  })
  const execute = ([sql, ...parameters]: Statement, how: { readonly queue: boolean; readonly wait: boolean }): Promise<Answer> =>
    ask({ call: 'execute', sql, parameters, ...how })
  return {
    execute: async (statement) => {
      const said = await execute(statement, { queue: false, wait: false })
      return 'lastrowid' in said ? (said.lastrowid ?? undefined) : undefined
    },
    transaction: async (statements) => {
      // Its one way to send several statements: the same text with different values.
      const [[sql] = ['']] = statements
      await ask({ call: 'executemany', sql, rows: statements.map(([, ...parameters]) => parameters) })
    },
    query: async ([sql, ...parameters], level) => {
      const said = await ask({ call: 'query', sql, parameters, ...(level === undefined ? {} : { level }) })
      return 'rows' in said ? said.rows : []
    },
    queue: async (statement) => void (await execute(statement, { queue: true, wait: false })),
    queueAndWait: async (statement) => void (await execute(statement, { queue: true, wait: true })),
    close,
  }
}
