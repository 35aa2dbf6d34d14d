// Finds the leader for a request that only it may answer: serves here, sends the client there (`redirect`), or forwards and hands back the leader's answer as it is.
// Where nothing has been appended (no leader, a leader that is one no more, leadership being handed over) it looks again until the request's deadline, as soon as the
// consensus tells of a change. What may have been appended is never sent again.
import { isRefusalCode, refusalHeader } from '../../contract/refusal.ts'
import type { RefusalCode } from '../../contract/refusal.ts'
import type { Member } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { ApiParts } from './api-parts.ts'
import { msLeft, refuse, textHeaders } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import type { ForwardedReply } from './forwarder.ts'
import { standingRefusal } from './standing.ts'

export const servedByHeader = 'X-RQLITE-SERVED-BY'

// Refusals of another node that say by their meaning that nothing was done there, and that another node, or the same one a moment later, may do it.
const refusalsToOutlive: ReadonlySet<RefusalCode> = new Set(['leader_unknown', 'not_ready', 'node_removed', 'state_diverged'])
// Headers of a leader's answer that reach the client; everything else is this node's own business.
const relayedHeaders = ['content-type', refusalHeader.toLowerCase(), 'retry-after']

export interface LeaderRoute {
  /** For rqlite's words when the leader denies what this node allowed, e.g. "remote Execute not authorized". */
  readonly name: string
  /** Whether a lost answer may mean that something was changed. */
  readonly changes: boolean
  /** Until when a leader is waited for, as performance.now(); absent: until the request's deadline. */
  readonly waitsUntilMs?: number
  serve(replica: Replica): Promise<Served>
}

/** `again`: certainly nothing was done, and it is worth trying anew; what it holds is the answer when the deadline comes first. */
export type Served = ApiReply | { readonly again: ApiReply }

type Place =
  | { readonly kind: 'here'; readonly replica: Replica }
  | { readonly kind: 'there'; readonly leader: Member }
  | { readonly kind: 'nowhere' }

export async function atLeader(parts: ApiParts, request: ApiRequest, route: LeaderRoute): Promise<ApiReply> {
  for (let attempt = 0; ; attempt += 1) {
    const seen = parts.leaderWatch.changes
    const served = await serveOnce(parts, request, route)
    if (!('again' in served)) return served
    const timeoutMs = waitingMsLeft(request, route)
    if (timeoutMs <= 0) return served.again
    const waited = await parts.leaderWatch.next(seen, { attempt, timeoutMs })
    if (waited === 'overloaded') return refuse('overloaded', 'too many requests are waiting for a leader; try again')
    if (waited === 'closing') return refuse('not_ready', 'the node is shutting down; nothing was changed')
    if (waitingMsLeft(request, route) <= 0 || request.isAbandoned()) return served.again
    const standing = standingRefusal(parts)
    if (standing !== undefined) return standing
  }
}

function waitingMsLeft(request: ApiRequest, { waitsUntilMs }: LeaderRoute): number {
  return Math.min(msLeft(request), (waitsUntilMs ?? Infinity) - performance.now())
}

async function serveOnce(parts: ApiParts, request: ApiRequest, route: LeaderRoute): Promise<Served> {
  const place = findLeader(parts)
  if (place.kind === 'here') return route.serve(place.replica)
  // A forwarded request that goes on travelling could go round in circles; the node that the client asked looks again instead.
  if (request.origin === 'member') return leaderNotFound()
  if (place.kind === 'nowhere') return { again: leaderNotFound() }
  if (request.parameters.has('redirect')) return redirect(place.leader, request)
  return forward(parts, request, route, place.leader)
}

/** For a client that asked to be sent to the leader; undefined: this node is it, or knows none. */
export function redirectToLeader(parts: ApiParts, request: ApiRequest): ApiReply | undefined {
  const place = findLeader(parts)
  return place.kind === 'there' ? redirect(place.leader, request) : undefined
}

function findLeader(parts: ApiParts): Place {
  const replica = parts.view.replica()
  if (replica === undefined) return { kind: 'nowhere' }
  if (replica.leads()) return { kind: 'here', replica }
  const { leader, membership } = replica.status()
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

async function forward(parts: ApiParts, request: ApiRequest, route: LeaderRoute, leader: Member): Promise<Served> {
  const body = await request.body()
  if (!body.ok) return refuse(body.problem.code, body.problem.message)
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
  parts.counts.forwarded(path, answer.ok ? 'answered' : 'failed')
  if (answer.ok) {
    const reply = relay(answer.value, route, leader)
    return reply.refusal !== undefined && refusalsToOutlive.has(reply.refusal.code) ? { again: reply } : reply
  }
  if (answer.problem.code === 'forward_not_sent') {
    return { again: refuse('forward_failed', 'the leader could not be reached; nothing was changed') }
  }
  if (route.changes) return outcomeUnknown()
  // A read changes nothing, and the leader that did not answer may have a successor.
  return { again: refuse('forward_failed', 'the leader did not answer') }
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
