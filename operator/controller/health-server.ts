// GET /metrics, /healthz and /readyz of the operator, by plain HTTP on a port of its own: counts and two words, nothing of any cluster. The chart's
// NetworkPolicy closes it to everyone who is not named.
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

export interface HealthServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly metrics: { readonly contentType: string; render(): Promise<string> }
  /** Whether the operator does what it is there for: it acts, or it stands by. */
  readonly ready: () => boolean
}

// A scrape every few seconds and a probe; more is somebody who should not be here.
const connectionsMax = 64
const requestMsMax = 5000

export class HealthServer {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  /** Rejects when the address cannot be listened on. */
  static async start(options: HealthServerOptions): Promise<HealthServer> {
    const server = createServer(
      { requestTimeout: requestMsMax, headersTimeout: requestMsMax },
      (request, response) => void answer(options, request, response),
    )
    server.maxConnections = connectionsMax
    // An empty host is every interface.
    server.listen({ port: options.port, ...(options.host === '' ? {} : { host: options.host }) })
    await once(server, 'listening')
    return new HealthServer(server)
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}

async function answer({ metrics, ready }: HealthServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, body: string, contentType = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store', connection: 'close' }).end(body)
  }
  if (request.method !== 'GET') return send(405, 'only GET\n')
  switch (request.url ?? '') {
    case '/healthz':
      return send(200, 'ok\n')
    case '/readyz':
      return ready() ? send(200, 'ok\n') : send(503, 'not ready\n')
    case '/metrics':
      return send(200, await metrics.render(), metrics.contentType)
    default:
      return send(404, 'not found\n')
  }
}
