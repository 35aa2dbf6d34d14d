// The listening server: limits of time and size, TLS, and an orderly end.
import http from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { refusalHeader, refusals } from '../../contract/refusal.ts'
import type { RefusalCode } from '../../contract/refusal.ts'
import type { Logger } from '../../runtime/log.ts'
import type { CountingMetric, Metrics } from '../../runtime/metrics.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { ApiLimits } from './api-limits.ts'
import { CertificateExpiry, followTls, mayEnter, tlsServerOptions } from './api-tls.ts'
import type { ApiTls } from './api-tls.ts'

export interface ListenProblem {
  readonly code: 'address_in_use' | 'address_unavailable'
  readonly message: string
}

type OnRequest = (message: IncomingMessage, response: ServerResponse, options: { readonly expectsContinue: boolean }) => void
type OnRefusal = (code: RefusalCode, message: string, address: string) => void

const lost = ['too_many', 'handshake', 'common_name', 'malformed'] as const
// Node's sweep for connections that are too slow; its default of 30 s would let them live that much longer.
const sweepMs = 2000
// Requests that are being served when the node ends may finish; then everything is cut. Longer than the replica's grace after the requests' own (lifecycle/orderly-stop.ts):
// what it ends is still answered.
const closeGraceMs = 4500

export class ApiServer {
  readonly #server: http.Server | https.Server
  readonly #sockets = new Set<Socket>()
  readonly #lost: CountingMetric<{ readonly reason: typeof lost }>
  readonly #log: Logger
  readonly #limits: ApiLimits
  readonly #onRefusal: OnRefusal
  readonly #unfollow: () => void
  readonly #expiry: CertificateExpiry | undefined
  #closing = false

  constructor(options: {
    readonly tls: ApiTls | undefined
    readonly limits: ApiLimits
    readonly logger: Logger
    readonly metrics: Metrics
    readonly onRequest: OnRequest
    /** For what is refused before it has become a request. */
    readonly onRefusal: OnRefusal
  }) {
    const { tls, limits, metrics } = options
    this.#log = options.logger.child({ part: 'api' })
    this.#limits = limits
    this.#onRefusal = options.onRefusal
    this.#expiry = tls?.verifyClient === true ? new CertificateExpiry() : undefined
    this.#lost = metrics.counter({
      name: 'securesql_http_connections_lost_total',
      help: 'Connections that ended without a request: too many at a time, a TLS handshake that failed, a client certificate of another name, bytes that are not HTTP.',
      labels: { reason: lost },
    })
    metrics.gauge({ name: 'securesql_http_connections', help: 'Open connections of the API.', read: () => this.#sockets.size })
    const httpOptions = serverOptions(limits)
    if (tls === undefined) {
      this.#server = http.createServer(httpOptions)
      this.#unfollow = () => {}
    } else {
      const server = https.createServer({
        ...httpOptions,
        ...tlsServerOptions(tls, tls.files.current),
        handshakeTimeout: limits.handshakeTimeoutMs,
      })
      this.#server = server
      this.#unfollow = followTls(server, tls, this.#sockets)
    }
    this.#prepare(options.onRequest, tls)
  }

  async listen(address: {
    readonly host: string
    readonly port: number
  }): Promise<Result<{ readonly host: string; readonly port: number }, ListenProblem>> {
    const server = this.#server
    const outcome = await new Promise<Error | undefined>((resolve) => {
      server.once('error', resolve)
      // An empty host is every address, as in rqlite's `:4001`.
      server.listen({ port: address.port, ...(address.host === '' ? {} : { host: address.host }) }, () => {
        server.off('error', resolve)
        resolve(undefined)
      })
    })
    const bound = server.address()
    if (outcome === undefined && typeof bound === 'object' && bound !== null) return ok({ host: bound.address, port: bound.port })
    const reason = outcome !== undefined && 'code' in outcome ? String(outcome.code) : 'unknown'
    const at = `${address.host}:${address.port}`
    if (reason === 'EADDRINUSE') return fail({ code: 'address_in_use', message: `the API address ${at} is in use by another program` })
    return fail({ code: 'address_unavailable', message: `the API cannot listen on ${at} (${reason})` })
  }

  async close(): Promise<void> {
    this.#unfollow()
    if (!this.#server.listening) return
    this.#closing = true
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.#server.closeIdleConnections()
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, closeGraceMs)
    await closed
    clearTimeout(cut)
  }

  #prepare(onRequest: OnRequest, tls: ApiTls | undefined): void {
    const server = this.#server
    server.maxConnections = this.#limits.connectionsMax
    server.maxHeadersCount = this.#limits.headersMax
    server.on('request', (message, response) => this.#request(onRequest, message, response, false))
    server.on('checkContinue', (message, response) => this.#request(onRequest, message, response, true))
    // Without a listener Node answers by itself, without our code; the front refuses.
    server.on('checkExpectation', (message, response) => this.#request(onRequest, message, response, false))
    server.on('clientError', (error, socket) => this.#clientError(error, socket))
    server.on('drop', () => this.#lost.add({ reason: 'too_many' }))
    // Before the server's own listener, which would begin to read.
    server.prependListener(server instanceof https.Server ? 'secureConnection' : 'connection', (socket: Socket) => {
      if (tls !== undefined && !mayEnter(socket, tls)) {
        this.#lost.add({ reason: 'common_name' })
        this.#log.info({ client: { address: socket.remoteAddress ?? '' } }, 'client certificate of another name')
        socket.destroy()
        return
      }
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    if (server instanceof https.Server) {
      server.on('tlsClientError', (err, socket) => {
        this.#lost.add({ reason: 'handshake' })
        this.#log.info(
          { client: { address: socket.remoteAddress ?? '' }, why: 'code' in err ? err.code : err.name },
          'tls handshake failed',
        )
      })
    }
  }

  #request(onRequest: OnRequest, message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    if (message.socket.destroyed) return
    if (this.#expiry?.hasPassed(message.socket) === true) {
      message.socket.destroy()
      return
    }
    // A connection that is busy when the closing begins must not wait for its next request.
    if (this.#closing) response.once('close', () => setImmediate(() => this.#server.closeIdleConnections()))
    onRequest(message, response, { expectsContinue })
  }

  // Node gives us the socket of what its parser or its clock has refused; it is answered in plain bytes and closed.
  #clientError(error: Error, socket: Duplex): void {
    const reason = 'code' in error ? String(error.code) : ''
    const code: RefusalCode =
      reason === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : reason === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'invalid_request'
    this.#lost.add({ reason: 'malformed' })
    if (!socket.writable || reason === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const address = 'remoteAddress' in socket && typeof socket.remoteAddress === 'string' ? socket.remoteAddress : ''
    this.#onRefusal(code, 'not a request that can be read', address)
    const status = refusals[code]
    socket.end(
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n${refusalHeader}: ${code}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    )
    // A client that does not read would keep the socket half open.
    setTimeout(() => socket.destroy(), 1000).unref()
  }
}

function serverOptions(limits: ApiLimits): http.ServerOptions {
  return {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    // Each body has its own clock (read-body.ts): this one could not be told of a file that may take longer.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(sweepMs, limits.headersTimeoutMs),
    insecureHTTPParser: false,
    // The front refuses: Node's own answer carries no code.
    requireHostHeader: false,
    noDelay: true,
  }
}
