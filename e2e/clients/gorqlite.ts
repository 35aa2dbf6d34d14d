// The Go module gorqlite, as it is published, in a process of its own (gorqlite/session.go). That of what it offers which an application chooses stands here: its own
// functions or Go's database/sql; one address that it is given, or all nodes, which it asks for by itself. The authority is trusted as by any program in Go: SSL_CERT_FILE.
import { z } from 'zod'
import type { ClientProgram, ConnectOptions, SqlClient } from './client.ts'
import { row, startClientProcess } from './client-process.ts'
import type { ClientProcess } from './client-process.ts'

const answer = z.union([
  z.strictObject({ rows: z.array(row) }),
  z.strictObject({ id: z.int() }),
  z.strictObject({ done: z.literal(true) }),
  z.strictObject({ leader: z.string(), peers: z.array(z.string()) }),
])
type Answer = z.infer<typeof answer>

/** `HOST:PORT` of the API of each node that answers, the leader's first. */
export interface KnownNodes {
  readonly leader: string
  readonly peers: readonly string[]
}

/** It asks the first node for the leader and the others (for which its user needs `status`), sends everything to the leader, and goes to the next node after any error. */
export interface DiscoveringClient extends SqlClient {
  /** Asked anew. */
  nodes(): Promise<KnownNodes>
}

/** `session`: the program. It speaks to the first address alone, and its user needs no other right than those of its statements. */
export function gorqlite(session: string): ClientProgram {
  const connect = (options: ConnectOptions): SqlClient => ownClient(start(session, options, { interface: 'own', discovers: false }))
  return { name: 'gorqlite', connect: (options) => Promise.resolve(connect(options)) }
}

export function gorqliteByDatabaseSql(session: string): ClientProgram {
  const connect = (options: ConnectOptions): SqlClient => {
    const client = ownClient(start(session, options, { interface: 'database/sql', discovers: false }))
    // Begin and Commit do nothing there, it says itself, and it knows no queued writes.
    return { ...client, transaction: undefined, queue: undefined }
  }
  return { name: 'gorqlite by database/sql', connect: (options) => Promise.resolve(connect(options)) }
}

export function connectDiscovering(program: string, options: ConnectOptions): DiscoveringClient {
  const session = start(program, options, { interface: 'own', discovers: true })
  return {
    ...ownClient(session),
    nodes: async () => {
      const said = await session.ask({ call: 'nodes' })
      return 'peers' in said ? said : { leader: '', peers: [] }
    },
  }
}

function start(
  session: string,
  { ports, caFile, username, password }: ConnectOptions,
  how: { readonly interface: 'own' | 'database/sql'; readonly discovers: boolean },
): ClientProcess<Answer> {
  const about = { port: ports[0], username, password, ...how }
  return startClientProcess({ name: 'gorqlite', program: session, arguments: [], environment: { SSL_CERT_FILE: caFile }, about, answer })
}

function ownClient({ ask, close }: ClientProcess<Answer>): SqlClient {
  return {
    execute: async (statement) => {
      const said = await ask({ call: 'execute', statements: [statement] })
      return 'id' in said ? said.id : undefined
    },
    transaction: async (statements) => void (await ask({ call: 'transaction', statements })),
    query: async (statement, level) => {
      const said = await ask({ call: 'query', statements: [statement], ...(level === undefined ? {} : { level }) })
      return 'rows' in said ? said.rows : []
    },
    queue: async (statement) => void (await ask({ call: 'queue', statements: [statement] })),
    queueAndWait: undefined,
    close,
  }
}
