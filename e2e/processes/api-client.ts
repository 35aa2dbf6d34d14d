// A careful HTTPS client of one node: keep-alive, Basic auth, and an answer that never pretends to know more than it does.
import { Agent, request } from 'node:https'
import { z } from 'zod'
import { refusalHeader } from '../../contract/refusal.ts'

export interface ApiReply {
  readonly kind: 'reply'
  readonly status: number
  /** From the header, when the reply is a refusal. */
  readonly code: string | undefined
  readonly body: string
}

/** `unreachable`: nothing was sent (connection refused). `lost`: sent, or perhaps sent, and no whole answer came. */
export type ApiAnswer = ApiReply | { readonly kind: 'unreachable' } | { readonly kind: 'lost'; readonly why: string }

export interface ApiClientOptions {
  readonly host?: string
  readonly port: number
  readonly ca: string
  readonly username?: string
  readonly password?: string
  readonly connectionsMax?: number
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly timeoutMs?: number
}

/** The header's value (RFC 7617). */
export function basicAuthorization({ name, password }: { readonly name: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

export class ApiClient {
  readonly #agent: Agent
  readonly #options: ApiClientOptions
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: ApiClientOptions) {
    this.#options = options
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connectionsMax ?? 16, ca: options.ca })
    const { username, password } = options
    this.#headers = username === undefined ? {} : { authorization: basicAuthorization({ name: username, password: password ?? '' }) }
  }

  send(asked: ApiRequest): Promise<ApiAnswer> {
    const text = asked.body === undefined ? undefined : JSON.stringify(asked.body)
    const { host = '127.0.0.1', port } = this.#options
    return new Promise((resolve) => {
      const outgoing = request(
        {
          host,
          port,
          path: asked.path,
          method: asked.method ?? (text === undefined ? 'GET' : 'POST'),
          agent: this.#agent,
          signal: AbortSignal.timeout(asked.timeoutMs ?? 15_000),
          headers: {
            ...this.#headers,
            ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          },
        },
        (incoming) => {
          const parts: Buffer[] = []
          incoming.on('data', (part: Buffer) => parts.push(part))
          incoming.on('error', (error) => resolve({ kind: 'lost', why: error.message }))
          incoming.on('end', () => {
            if (!incoming.complete) return resolve({ kind: 'lost', why: 'cut off' })
            const code = incoming.headers[refusalHeader.toLowerCase()]
            const body = Buffer.concat(parts).toString('utf8')
            resolve({ kind: 'reply', status: incoming.statusCode ?? 0, code: typeof code === 'string' ? code : undefined, body })
          })
        },
      )
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ECONNREFUSED' ? { kind: 'unreachable' } : { kind: 'lost', why: error.message })
      })
      outgoing.end(text)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

const resultList = z.object({
  results: z.array(
    z.object({
      error: z.string().optional(),
      columns: z.array(z.string()).optional(),
      values: z.array(z.array(z.union([z.string(), z.number(), z.boolean(), z.null()]))).optional(),
      rows_affected: z.number().optional(),
      last_insert_id: z.number().optional(),
    }),
  ),
  error: z.string().optional(),
})

export type Results = z.infer<typeof resultList>

/** The JSON of `/db/execute` and `/db/query`; undefined when it is not that. */
export function resultsOf(reply: ApiReply): Results | undefined {
  if (reply.status !== 200) return undefined
  try {
    const parsed = resultList.safeParse(JSON.parse(reply.body))
    return parsed.success ? parsed.data : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
