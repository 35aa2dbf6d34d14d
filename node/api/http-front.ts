// From an HTTP message to a Call, and from an ApiReply back to the wire.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ApiParts } from './api-parts.ts'
import type { ApiService, Call } from './api-service.ts'
import { BodyBudget } from './body-budget.ts'
import { commonHeaders } from './common-headers.ts'
import type { Endpoint } from './endpoint.ts'
import { refuse, refuseWith } from './exchange.ts'
import type { ApiReply } from './exchange.ts'
import { Overdue } from './overdue.ts'
import { readBody, readStream } from './read-body.ts'
import { parseRequestParameters } from './request-parameters.ts'
import { RouteTable } from './route-table.ts'
import { sendReply } from './send-reply.ts'

export class HttpFront {
  readonly #parts: ApiParts
  readonly #service: ApiService
  readonly #headers: Readonly<Record<string, string>>
  readonly #budget: BodyBudget
  readonly #slowBodies: Overdue
  readonly #slowReplies: Overdue
  readonly #routes: RouteTable

  constructor(parts: ApiParts, service: ApiService, endpoints: readonly Endpoint[]) {
    this.#parts = parts
    this.#service = service
    this.#headers = commonHeaders(parts)
    this.#budget = new BodyBudget(parts.limits.bodiesBytesMax)
    this.#slowBodies = new Overdue(parts.limits.requestTimeoutMs)
    this.#slowReplies = new Overdue(parts.limits.writeTimeoutMs)
    this.#routes = new RouteTable(endpoints)
  }

  /** `expectsContinue`: the client waits for "100 Continue" before it sends its body, and gets it once the body is wanted. */
  handle(message: IncomingMessage, response: ServerResponse, options: { readonly expectsContinue: boolean }): void {
    const prepared = this.#prepare(message, response, options)
    if ('status' in prepared) return this.#send(message, response, this.#note(message, prepared))
    const endpoint = this.#routes.find(prepared.path)
    if (endpoint === undefined) return this.#send(message, response, this.#note(message, refuse('not_found', 'not found')))
    void this.#answer(message, response, endpoint, prepared)
  }

  // Before any route: rqlite answers OPTIONS everywhere without credentials, and checks parameters before paths.
  #prepare(message: IncomingMessage, response: ServerResponse, options: { readonly expectsContinue: boolean }): ApiReply | Call {
    const target = message.url ?? ''
    // RFC 9112 §3.2: a request of HTTP/1.1 without a host is answered 400.
    if (message.headers.host === undefined && message.httpVersion !== '1.0') return refuse('invalid_request', 'the request names no host')
    // RFC 9110 §10.1.1: 100-continue is the one expectation there is.
    if (message.headers.expect !== undefined && !options.expectsContinue) return refuse('invalid_request', 'an unknown expectation')
    if (message.method === 'OPTIONS') return { status: 200, headers: {}, body: '' }
    if (Buffer.byteLength(target) > this.#parts.limits.urlBytesMax) return refuse('url_too_long', 'the URL is too long')
    // An absolute target names a second host, and a repeated header two callers: two readers of the request could each believe another one.
    if (!target.startsWith('/') || repeats(message, 'host') || repeats(message, 'authorization')) {
      return refuse('invalid_request', 'the request is ambiguous')
    }
    if (this.#comesFromAnotherSite(message)) return refuse('cross_site_request', 'requests from scripts of other sites are not allowed')
    const question = target.indexOf('?')
    const query = question === -1 ? '' : target.slice(question + 1)
    const parameters = parseRequestParameters(query)
    if (!parameters.ok) return refuseWith(parameters.problem)
    const address = message.socket.remoteAddress ?? ''
    let body: ReturnType<Call['body']> | undefined
    return {
      origin: 'client',
      method: message.method ?? '',
      path: question === -1 ? target : target.slice(0, question),
      query,
      parameters: parameters.value,
      contentType: (message.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
      body: () => {
        if (body === undefined && options.expectsContinue) response.writeContinue()
        body ??= readBody(message, response, { limits: this.#parts.limits, budget: this.#budget, slow: this.#slowBodies })
        return body
      },
      stream: () => {
        if (options.expectsContinue) response.writeContinue()
        return readStream(message, this.#parts.limits)
      },
      isAbandoned: () => response.destroyed,
      startedAtMs: performance.now(),
      timeoutMsMax: this.#parts.limits.deadlineMsMax,
      address,
      authorize: (needed) =>
        this.#parts.access.decide({ authorization: message.headers.authorization, address, connection: message.socket }, needed),
    }
  }

  async #answer(message: IncomingMessage, response: ServerResponse, endpoint: Endpoint, call: Call): Promise<void> {
    let reply: ApiReply
    try {
      reply = await this.#service.answer(endpoint, call)
    } catch (err) {
      // A fault of ours outside of the endpoint: one request's fault must not take the node from all others.
      this.#parts.logger.error({ part: 'api', err }, 'request failed')
      reply = this.#note(message, refuse('internal', 'internal error'))
    }
    this.#send(message, response, reply)
  }

  #note(message: IncomingMessage, reply: ApiReply): ApiReply {
    const address = message.socket.remoteAddress ?? ''
    return this.#service.noted(reply, { method: message.method ?? '', endpoint: 'none', origin: 'client', address })
  }

  #send(message: IncomingMessage, response: ServerResponse, reply: ApiReply): void {
    // Clients find another node before this one is gone.
    const headers = this.#parts.isEnding() ? { ...this.#headers, Connection: 'close' } : this.#headers
    sendReply(message, response, { reply, headers, slow: this.#slowReplies })
  }

  // A browser adds the user's remembered Basic credentials to requests of any page. Browsers say where a request comes from in headers that scripts cannot set;
  // other clients send neither.
  #comesFromAnotherSite(message: IncomingMessage): boolean {
    const site = message.headers['sec-fetch-site']
    if (site !== 'cross-site' && site !== 'same-site') return false
    const { allowOrigin } = this.#parts
    return allowOrigin !== '*' && (allowOrigin === undefined || message.headers.origin !== allowOrigin)
  }
}

// Node keeps the first of two such headers and drops the second without a word.
function repeats(message: IncomingMessage, name: string): boolean {
  let seen = 0
  for (let at = 0; at < message.rawHeaders.length; at += 2) {
    const header = message.rawHeaders[at]
    if (header?.length === name.length && header.toLowerCase() === name) seen += 1
  }
  return seen > 1
}
