// Port: a request that another node must answer. Owned by the API; `node/peer` implements it over the Raft port's mutual TLS.
// The request travels as the client sent it, with the identity that this node has verified beside it: never the password, and never anything a client's header says.
import type { Result } from '../../runtime/result.ts'
import type { Identity } from '../access/identity.ts'
import type { NodeId } from '../raft/membership.ts'

export type { Identity }

export interface ForwardedRequest {
  readonly method: string
  /** Path without the query string, e.g. `/db/execute`. */
  readonly path: string
  /** Raw query string without `?`, as the client sent it. */
  readonly query: string
  readonly contentType: string
  readonly body: Uint8Array
  readonly identity: Identity
  /** Milliseconds that are left of the client's deadline. */
  readonly timeoutMs: number
}

export interface ForwardedReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/**
 * `forward_not_sent`: the leader certainly did not see it (no connection): safe to try again. `outcome_unknown`: it was sent and no answer came:
 * a write may have happened and is never sent twice.
 */
export type ForwardProblem = { readonly code: 'forward_not_sent' | 'outcome_unknown'; readonly message: string }

export interface Forwarder {
  forward(to: NodeId, request: ForwardedRequest): Promise<Result<ForwardedReply, ForwardProblem>>
}

/** The other end, implemented by the API: answers a request that a member forwarded, checking the identity's permissions anew. Never forwards again. */
export interface ForwardedRequestHandler {
  handle(request: ForwardedRequest): Promise<ForwardedReply>
}
