// An application's view of a member in the demo: HTTPS with the cluster's client CA, the member's own DNS name checked as in a real cluster, one user and password.
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import type { Endpoint } from './local-addresses.ts'

export interface Member extends Endpoint {
  /** Node id and pod name. */
  readonly name: string
  /** What its certificate must say. */
  readonly dnsName: string
}

export interface User {
  readonly name: string
  readonly password: string
}

export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  readonly user: User
  readonly caPem: string
  /** Absent: a minute. */
  readonly withinMs?: number
}

export interface Answer {
  readonly status: number
  /** Parsed where it is JSON. */
  readonly body: unknown
}

/** It only ends what hangs: an election takes a few seconds at most, but the machine may be busy. */
const answerWithinMs = 60_000

/** Rejects when the member cannot be reached or is not who it must be. */
export function ask(member: Member, question: Question): Promise<Answer> {
  const { user, caPem, method, path } = question
  const body = question.body === undefined ? undefined : JSON.stringify(question.body)
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: member.host,
        port: member.port,
        servername: member.dnsName,
        ca: caPem,
        method,
        path,
        auth: `${user.name}:${user.password}`,
        agent: false,
        signal: AbortSignal.timeout(question.withinMs ?? answerWithinMs),
        headers: { host: `${member.dnsName}:${member.port}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      },
      (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: jsonOrText(answer) }), reject)
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}

function jsonOrText(answer: string): unknown {
  try {
    return JSON.parse(answer)
  } catch {
    return answer
  }
}

/** How a TLS connection that sends nothing ends. `open`: it was still there after `forMs`. */
export type ConnectionEnd = { readonly kind: 'open' } | { readonly kind: 'refused'; readonly reason: string }

export interface CallerTls {
  readonly cert?: string
  readonly key?: string
  /** Application protocol (ALPN) to ask for. */
  readonly protocol?: string
}

/** Connects as `caller`, sends nothing, and waits. In TLS 1.3 a client believes to be connected before the server has looked at its certificate: only what comes
 * afterwards tells. */
export function connectAndWait(endpoint: Endpoint, { protocol, ...certificate }: CallerTls, forMs: number): Promise<ConnectionEnd> {
  return new Promise((resolve) => {
    // Whether the *server* is genuine is not the question here, and nothing is sent.
    const asked = protocol === undefined ? {} : { ALPNProtocols: [protocol] }
    const socket = connect({ ...endpoint, ...certificate, ...asked, rejectUnauthorized: false })
    const end = (result: ConnectionEnd): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(result)
    }
    const timer = setTimeout(() => end({ kind: 'open' }), forMs)
    socket.on('error', (err: NodeJS.ErrnoException) => end({ kind: 'refused', reason: err.code ?? err.message }))
    socket.on('close', () => end({ kind: 'refused', reason: 'closed' }))
    socket.resume()
  })
}
