// Finds the leader for a request that only it may answer: serves here, sends the client there (`redirect`), or forwards and hands back the leader's answer as it is.
import { isRefusalCode, refusalHeader } from '../../contract/refusal.ts'
import type { Member } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { ApiParts } from './api-parts.ts'
import { msLeft, refuse, textHeaders } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import type { ForwardedReply } from './forwarder.ts'

export const servedByHeader = 'X-RQLITE-SERVED-BY'

// Once more after leadership has moved; `retries` asks for more. Each try costs a round trip and the deadline ends them all.
const triesMin = 2
const retriesMax = 10
// Headers of a leader's answer that reach the client; everything else is this node's own business.
const relayedHeaders = ['content-type', refusalHeader.toLowerCase(), 'retry-after']

export interface LeaderRoute {
  /** For rqlite's words when the leader denies what this node allowed, e.g. "remote Execute not authorized". */
  readonly name: string
  /** Whether a lost answer may mean that something was changed. */
  readonly changes: boolean
  /** `moved`: this node is not the leader after all, and nothing was appended. */
  serve(replica: Replica): Promise<ApiReply | 'moved'>
}

type Place =
  | { readonly kind: 'here'; readonly replica: Replica }
  | { readonly kind: 'there'; readonly leader: Member }
  | { readonly kind: 'nowhere' }

export async function atLeader(parts: ApiParts, request: ApiRequest, route: LeaderRoute): Promise<ApiReply> {
  const tries = triesMin + Math.min(retriesMax, Math.max(0, request.parameters.integer('retries') ?? 0))
  let last: ApiReply = leaderNotFound()
  for (let attempt = 0; attempt < tries && (attempt === 0 || msLeft(request) > 0); attempt += 1) {
    const place = findLeader(parts)
    if (place.kind === 'nowhere') return leaderNotFound()
    if (place.kind === 'here') {
      const reply = await route.serve(place.replica)
      if (reply !== 'moved') return reply
      continue
    }
    // A forwarded request that goes on travelling could go round in circles; the node that the client asked tries again instead.
    if (request.origin === 'member') return leaderNotFound()
    if (request.parameters.has('redirect')) return redirect(place.leader, request)
    const forwarded = await forward(parts, request, route, place.leader)
    if (forwarded.kind === 'answered') return forwarded.reply
    last = forwarded.reply
  }
  return last
}

export function findLeader(parts: ApiParts): Place {
  const replica = parts.view.replica()
  if (replica === undefined) return { kind: 'nowhere' }
  const { role, leader, membership } = replica.status()
  if (role === 'leader') return { kind: 'here', replica }
  const member = membership.members.find(({ id }) => id === leader)
  return member === undefined ? { kind: 'nowhere' } : { kind: 'there', leader: member }
}

export function leaderNotFound(): ApiReply {
  return refuse('leader_unknown', 'leader not found')
}

// The target is the address that the leader itself has advertised to the cluster: nothing of it comes from the client's Host header.
function redirect(leader: Member, request: ApiRequest): ApiReply {
  const query = request.query === '' ? '' : `?${request.query}`
  return { status: 301, headers: { Location: `${leader.apiUrl}${request.path}${query}` }, body: '' }
}

async function forward(
  parts: ApiParts,
  request: ApiRequest,
  route: LeaderRoute,
  leader: Member,
): Promise<{ readonly kind: 'answered' | 'not-sent'; readonly reply: ApiReply }> {
  const body = await request.body()
  if (!body.ok) return { kind: 'answered', reply: refuse(body.problem.code, body.problem.message) }
  const { method, path, query, contentType, identity } = request
  const answer = await parts.forwarder.forward(leader.id, {
    method,
    path,
    query,
    contentType,
    body: body.value,
    identity,
    timeoutMs: msLeft(request),
  })
  if (answer.ok) return { kind: 'answered', reply: relay(answer.value, route, leader) }
  if (answer.problem.code === 'forward_not_sent') {
    return { kind: 'not-sent', reply: refuse('forward_failed', 'the leader could not be reached; nothing was changed') }
  }
  if (route.changes) return { kind: 'answered', reply: outcomeUnknown() }
  return { kind: 'answered', reply: refuse('forward_failed', 'the leader did not answer') }
}

export function outcomeUnknown(): ApiReply {
  return refuse('outcome_unknown', 'the outcome is unknown: the change may have happened; look before you repeat it')
}

function relay(answer: ForwardedReply, route: LeaderRoute, leader: Member): ApiReply {
  const headers = new Map(Object.entries(answer.headers).map(([name, value]) => [name.toLowerCase(), value]))
  const relayed: Record<string, string> = {}
  for (const name of relayedHeaders) {
    const value = headers.get(name)
    if (value !== undefined) relayed[name] = value
  }
  const code = headers.get(refusalHeader.toLowerCase())
  const refusal = code !== undefined && isRefusalCode(code) ? { refusal: { code, message: 'refused by the leader' } } : {}
  if (answer.status === 401) {
    return { status: 401, headers: { ...relayed, ...textHeaders }, body: `remote ${route.name} not authorized\n`, ...refusal }
  }
  if (answer.status === 200) relayed[servedByHeader] = leader.raftAddress
  return { status: answer.status, headers: relayed, body: answer.body, ...refusal }
}
