// HTTPS to the API server. Address, CA, client certificate and token come from @kubernetes/client-node's KubeConfig and are asked for again at every request, so
// that a rotated token or CA file is used without a restart. The library's own client would drop fields that it does not know and keep a watch half-open.
import assert from 'node:assert/strict'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { fail, ok } from '../../runtime/result.ts'
import type { KubeResult } from './kube.ts'
import { unreachable } from './kube-problem.ts'

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly contentType?: string
  /** Ends the request at any stage. */
  readonly signal: AbortSignal
}

export interface KubeAnswer {
  readonly status: number
  readonly stream: IncomingMessage
}

/** Enough for all watches of an operator and its parallel reconciles. */
const socketsMax = 64
/** A peer that vanished without a word is noticed after this and libuv's ten probes of a second each. */
const keepAliveProbeMs = 15_000
/** A list page of 500 objects at most; far above what ours weigh, far below what would hurt. */
const answerBytesMax = 64 * 1024 * 1024

export class KubeTransport {
  readonly #config: KubeConfig
  readonly #agent = new Agent({ keepAlive: true, keepAliveMsecs: keepAliveProbeMs, maxSockets: socketsMax })
  readonly #server: URL

  constructor(config: KubeConfig) {
    const cluster = config.getCurrentCluster()
    assert(cluster !== null, 'the Kubernetes configuration names no cluster')
    this.#server = new URL(cluster.server)
    // Tokens and Secrets travel on this connection: nothing below verified TLS is acceptable, whatever the configuration says.
    assert.equal(this.#server.protocol, 'https:', `the API server must be reached by https, not ${cluster.server}`)
    assert(!cluster.skipTLSVerify, 'insecure-skip-tls-verify is refused: give the cluster certificate-authority-data')
    this.#config = config
  }

  /** The answer's head; its body is a stream that the caller reads. `unreachable` when no answer came. */
  async open(asked: KubeRequest): Promise<KubeResult<KubeAnswer>> {
    const body = asked.body === undefined ? undefined : Buffer.from(JSON.stringify(asked.body))
    let options: RequestOptions
    try {
      options = await this.#optionsFor(asked, body)
    } catch (cause) {
      // Reading a token or certificate file, or running a credential plugin, can fail at any time and come right later.
      return fail(unreachable(`no credentials for the API server: ${textOf(cause)}`))
    }
    return new Promise((resolve) => {
      const failed = (cause: unknown): void => resolve(fail(unreachable(`${asked.method} ${asked.path}: ${textOf(cause)}`)))
      const outgoing = request(options, (stream) => {
        stream.socket.setKeepAlive(true, keepAliveProbeMs)
        resolve(ok({ status: stream.statusCode ?? 0, stream }))
      })
      outgoing.on('error', failed)
      outgoing.end(body)
    })
  }

  /** The whole answer as JSON, or text where it is none. */
  async fetch(asked: KubeRequest): Promise<KubeResult<{ readonly status: number; readonly body: unknown }>> {
    const opened = await this.open(asked)
    if (!opened.ok) return opened
    const { status, stream } = opened.value
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of stream) {
        assert(chunk instanceof Buffer)
        bytes += chunk.length
        if (bytes > answerBytesMax)
          return fail(unreachable(`${asked.method} ${asked.path}: an answer of more than ${answerBytesMax} bytes`))
        chunks.push(chunk)
      }
    } catch (cause) {
      return fail(unreachable(`${asked.method} ${asked.path}: ${textOf(cause)}`))
    }
    return ok({ status, body: jsonOrText(Buffer.concat(chunks).toString('utf8')) })
  }

  close(): void {
    this.#agent.destroy()
  }

  async #optionsFor(asked: KubeRequest, body: Buffer | undefined): Promise<RequestOptions> {
    const credentials: OutgoingHttpHeaders = {}
    const options: RequestOptions = { headers: credentials }
    await this.#config.applyToHTTPSOptions(options)
    const proxied = this.#config.getCurrentCluster()?.proxyUrl !== undefined
    const base = this.#server.pathname.replace(/\/$/, '')
    return {
      ...options,
      // The library keeps one agent with the certificates of its first use; ours takes those of this request. Only a proxy needs theirs.
      ...(proxied ? {} : { agent: this.#agent }),
      method: asked.method,
      host: this.#server.hostname.replace(/^\[|\]$/g, ''),
      port: this.#server.port === '' ? 443 : Number(this.#server.port),
      path: `${base}${asked.path}?${new URLSearchParams(asked.query).toString()}`,
      rejectUnauthorized: true,
      signal: asked.signal,
      headers: {
        ...credentials,
        accept: 'application/json',
        'user-agent': 'securesql-operator',
        ...(body === undefined ? {} : { 'content-type': asked.contentType ?? 'application/json', 'content-length': body.length }),
      },
    }
  }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A proxy in between answers in HTML; its HTTP status says enough.
    return text
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? `${'code' in cause ? `${String(cause.code)} ` : ''}${cause.message}` : String(cause)
}
