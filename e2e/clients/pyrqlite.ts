// The PyPI package pyrqlite, as it is published, in a process of Python. Credentials go in by standard input.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { ClientProgram, ConnectOptions, SqlClient, Statement } from './client.ts'

const answer = z.union([
  z.strictObject({ error: z.string() }),
  z.strictObject({ rows: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))) }),
  z.strictObject({ lastrowid: z.int().nullable() }),
  z.strictObject({ rowcount: z.int() }),
])
type Answer = z.infer<typeof answer>

/** `python`: an interpreter that can import the package. */
export function pyrqlite(python: string): ClientProgram {
  return { name: 'pyrqlite', connect: (options) => Promise.resolve(connect(python, options)) }
}

function connect(python: string, { ports, caFile, username, password }: ConnectOptions): SqlClient {
  const child = spawn(python, [join(import.meta.dirname, 'pyrqlite', 'session.py')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const gone = once(child, 'exit')
  // A process that has ended breaks the pipe; what is then missing is the answer, which says so.
  child.stdin.on('error', () => {})
  const send = (line: object): void => void child.stdin.write(`${JSON.stringify(line)}\n`)
  send({ port: ports[0], caFile, username, password })
  const ask = async (order: object): Promise<Answer> => {
    send(order)
    const line = await lines.next()
    if (line.done === true) throw new Error('pyrqlite: the process has ended')
    const said = answer.parse(JSON.parse(line.value))
    if ('error' in said) throw new Error(`pyrqlite: ${said.error}`)
    return said
  }
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
    queue: async (statement, { wait }) => void (await execute(statement, { queue: true, wait })),
    close: async () => {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await gone
      clearTimeout(timer)
    },
  }
}
