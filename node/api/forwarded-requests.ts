// Answers what another member has forwarded. The identity comes from that member, over the nodes' mutual TLS; the permissions come from this node's own access file.
import type { ForwardedReply, ForwardedRequest, ForwardedRequestHandler } from './forwarder.ts'
import type { ApiParts } from './api-parts.ts'
import type { ApiService } from './api-service.ts'
import type { Endpoint } from './endpoint.ts'
import { refuse, refuseWith, streamOf } from './exchange.ts'
import type { ApiReply } from './exchange.ts'
import { fail, ok } from '../../runtime/result.ts'
import { parseRequestParameters } from './request-parameters.ts'

export function forwardedRequests(parts: ApiParts, service: ApiService, endpoints: readonly Endpoint[]): ForwardedRequestHandler {
  return { handle: async (request) => toReply(await answer(parts, service, endpoints, request)) }
}

function answer(parts: ApiParts, service: ApiService, endpoints: readonly Endpoint[], request: ForwardedRequest): Promise<ApiReply> {
  const { method, path, query, contentType, body, identity } = request
  const about = { method, endpoint: 'forwarded', origin: 'member', address: 'member' } as const
  const endpoint = endpoints.find((known) => known.forwardable && known.path === path)
  if (endpoint === undefined) return Promise.resolve(service.noted(refuse('not_found', 'not found'), about))
  const parameters = parseRequestParameters(query)
  if (!parameters.ok) return Promise.resolve(service.noted(refuseWith(parameters.problem), about))
  const tooLarge = body.length > parts.limits.bodyBytesMax
  return service.answer(endpoint, {
    origin: 'member',
    method,
    path,
    query,
    parameters: parameters.value,
    contentType,
    body: () => Promise.resolve(tooLarge ? fail({ code: 'body_too_large', message: 'the body is too large' }) : ok(body)),
    stream: () => streamOf(body),
    // The member that forwarded it waits until its deadline.
    isAbandoned: () => false,
    startedAtMs: performance.now(),
    timeoutMsMax: Math.min(request.timeoutMs, parts.limits.deadlineMsMax),
    address: 'member',
    authorize: (needed) =>
      Promise.resolve(parts.access.mayDo(identity, needed) ? { kind: 'allowed', identity } : { kind: 'denied', code: 'permission_denied' }),
  })
}

function toReply({ status, headers, body }: ApiReply): ForwardedReply {
  return { status, headers, body: typeof body === 'string' ? new TextEncoder().encode(body) : body }
}
