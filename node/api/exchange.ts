// A request and its reply, free of sockets: the same code answers a client's HTTP request and one that another member has forwarded.
import type { Readable } from 'node:stream'
import { refusalHeader, refusals } from '../../contract/refusal.ts'
import type { Refusal, RefusalCode } from '../../contract/refusal.ts'
import { ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Identity } from '../access/identity.ts'
import type { RequestParameters } from './request-parameters.ts'

export interface ApiRequest {
  /** `member`: forwarded by another node, which already looked for the leader: never forwarded again. `queue`: of clients who have been answered. */
  readonly origin: 'client' | 'member' | 'queue'
  readonly identity: Identity
  readonly method: string
  readonly path: string
  /** Raw query string without `?`. */
  readonly query: string
  readonly parameters: RequestParameters
  /** Lower case, without parameters such as charset; '' when absent. */
  readonly contentType: string
  /** Reads the body on first call; until then nothing of it is buffered. */
  readonly body: () => Promise<Result<Uint8Array, Refusal>>
  /** The body as it comes, however long it is; instead of `body`. */
  readonly stream: () => BodyStream
  /** Nobody waits for the answer any more. What has not been begun is not begun: a client that gave up may have asked again, many times while there was no leader. */
  readonly isAbandoned: () => boolean
  /** performance.now() at arrival, and when the answer is due. */
  readonly startedAtMs: number
  readonly deadlineAtMs: number
}

export interface BodyStream {
  /** Undefined at its end. Nothing more comes until it is asked again. */
  next(): Promise<Result<Uint8Array | undefined, Refusal>>
}

export interface ApiReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** In place of `body`. Whoever gets the reply ends or destroys it. */
  readonly stream?: Readable
  readonly refusal?: Refusal
}

export const textHeaders = { 'Content-Type': 'text/plain; charset=utf-8' } as const
const jsonHeaders = { 'Content-Type': 'application/json; charset=utf-8' } as const

/**
 * What rqlite itself says beside an empty list of results, byte for byte. Clients look at the items (pyrqlite, rqlite-js), so a refusal of ours that stood there
 * would look like a success to them.
 */
const besideResults: ReadonlySet<string> = new Set(['disallowed pragma', 'stale read'])

/** rqlite's shapes: no body with 401, 404 and 405; JSON where the status is 200; else one line of text. */
export function refuse(code: RefusalCode, message: string, headers: Readonly<Record<string, string>> = {}): ApiReply {
  const status: number = refusals[code]
  const common = {
    [refusalHeader]: code,
    ...(code === 'overloaded' ? { 'Retry-After': '1' } : {}),
    // What has not come by now is not waited for.
    ...(code === 'request_timeout' ? { Connection: 'close' } : {}),
    ...headers,
  }
  const refusal = { code, message }
  if (status === 200) return inResults({ status, headers: common, body: '', refusal })
  if (status === 401 || status === 404 || status === 405) return { status, headers: common, body: '', refusal }
  return { status, headers: { ...textHeaders, ...common }, body: `${message}\n`, refusal }
}

/**
 * The same refusal as an item of the results, with status 200. For what must not be sent again: clients of rqlite (rqlite-js, gorqlite) and proxies repeat a request that
 * was answered with 5xx by themselves, and never one that holds an error.
 */
export function inResults(reply: ApiReply): ApiReply {
  if (reply.refusal === undefined) return reply
  const { message } = reply.refusal
  const said = besideResults.has(message) ? { results: [], error: message } : { results: [{ error: message }] }
  return { ...reply, status: 200, headers: { ...reply.headers, ...jsonHeaders }, body: JSON.stringify(said) }
}

export function refuseWith({ code, message }: Refusal): ApiReply {
  return refuse(code, message)
}

/** Of what was to be queued: beside the results as well, where gorqlite looks for it; it takes no notice of items there. */
export function refuseQueued({ code, message }: Refusal): ApiReply {
  const reply = refuse(code, message)
  if (reply.status !== 200 || besideResults.has(message)) return reply
  return { ...reply, body: JSON.stringify({ results: [{ error: message }], error: message }) }
}

/** Of a body that is in memory already. */
export function streamOf(body: Uint8Array): BodyStream {
  let rest: Uint8Array | undefined = body
  return {
    next: () => {
      const bytes = rest
      rest = undefined
      return Promise.resolve(ok(bytes))
    },
  }
}

export function textReply(status: number, body: string): ApiReply {
  return { status, headers: textHeaders, body }
}

export function jsonReply(body: string, headers: Readonly<Record<string, string>> = {}): ApiReply {
  return { status: 200, headers: { ...jsonHeaders, ...headers }, body }
}

/** Whose turn it is where requests wait for each other. */
export function clientOf(identity: Identity): string {
  return identity.kind === 'user' ? identity.username : ''
}

/** Milliseconds until the answer is due, at least 0. */
export function msLeft(request: ApiRequest): number {
  return Math.max(0, request.deadlineAtMs - performance.now())
}
