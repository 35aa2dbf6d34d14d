// GET /leader shows the leader; POST asks it to hand over, to the node in `{"id": "…"}` or to any voter.
import { parseJsonObject } from './parse-json-object.ts'
import type { NodeId } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, msLeft, refuse, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { indentJson } from './json-indent.ts'
import { atLeader, leaderNotFound, servedByHeader } from './leader-route.ts'
import type { Served } from './leader-route.ts'
import { nodeObjectOf } from './node-object.ts'
import { replicaRefusal } from './replica-refusal.ts'
import { apiAddress } from './statement-reply.ts'

export function leaderEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/leader',
    methods: ['GET', 'POST'],
    permissions: ['leader-ops'],
    forwardable: true,
    alwaysServed: false,
    handle: (request) => (request.method === 'GET' ? show(parts, request) : transfer(parts, request)),
  }
}

async function show(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const status = parts.view.replica()?.status()
  const leader = status?.membership.members.find(({ id }) => id === status.leader)
  if (leader === undefined) return leaderNotFound()
  const json = JSON.stringify(await nodeObjectOf(parts, leader, { leader: leader.id, timeoutMs: msLeft(request) }))
  return jsonReply(request.parameters.has('pretty') ? indentJson(json) : json)
}

async function transfer(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  let wanted: string | undefined
  if (request.contentType === 'application/json') {
    const body = await request.body()
    if (!body.ok) return refuseWith(body.problem)
    const fields = body.value.length === 0 ? new Map<string, unknown>() : parseJsonObject(body.value)
    if (fields === undefined) return refuse('invalid_json', 'invalid JSON body')
    const id = fields.get('id') ?? ''
    if (typeof id !== 'string') return refuse('invalid_request', 'invalid request: id is not a string')
    wanted = id === '' ? undefined : id
  }
  return atLeader(parts, request, { name: 'stepdown', changes: true, serve: (replica) => handOver(parts, request, replica, wanted) })
}

// Answered when another node leads, with and without `wait`: rqlite's `wait` only makes sure of that.
async function handOver(parts: ApiParts, request: ApiRequest, replica: Replica, wanted: string | undefined): Promise<Served> {
  const to: NodeId | undefined = replica.status().membership.members.find(({ id }) => id === wanted)?.id
  if (wanted !== undefined && to === undefined) return refuse('transfer_failed', 'no such node in the cluster')
  const done = await replica.transferLeadership({ to, timeoutMs: msLeft(request) })
  if (done.ok) return { status: 200, headers: { [servedByHeader]: apiAddress(parts) }, body: '' }
  if (done.problem.code === 'deadline') return refuse('transfer_failed', 'no other node took over within the timeout')
  return replicaRefusal(done.problem)
}
