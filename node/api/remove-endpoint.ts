// DELETE /remove takes the node in `{"id": "…"}` out of the cluster. One that is no member is removed already, as in rqlite. A leader that is to go hands over first,
// so that the cluster is not without one; when nobody takes over, it commits its own removal and steps down (thesis §4.2.2).
import type { Replica } from '../replica/replica-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { msLeft, refuse, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { atLeader, leaderNotFound, servedByHeader } from './leader-route.ts'
import type { Served } from './leader-route.ts'
import { parseJsonObject } from './parse-json-object.ts'
import { replicaRefusal } from './replica-refusal.ts'
import { apiAddress } from './statement-reply.ts'

// An election timeout of common settings: after that the core has given the handing over up.
const handOverMsMax = 2_000

export function removeEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/remove',
    methods: ['DELETE'],
    permissions: ['remove'],
    forwardable: true,
    alwaysServed: false,
    handle: (request) => remove(parts, request),
  }
}

async function remove(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const body = await request.body()
  if (!body.ok) return refuseWith(body.problem)
  const fields = parseJsonObject(body.value)
  if (fields === undefined) return refuse('invalid_json', 'invalid JSON body')
  const id = fields.get('id')
  // rqlite wants this one key and no other.
  if (fields.size !== 1 || typeof id !== 'string' || id === '')
    return refuse('invalid_request', 'invalid request: the body is not {"id": "…"}')
  return atLeader(parts, request, { name: 'remove node', changes: true, serve: (replica) => removeHere(parts, request, replica, id) })
}

async function removeHere(parts: ApiParts, request: ApiRequest, replica: Replica, id: string): Promise<Served> {
  const { id: self, membership } = replica.status()
  const { members } = membership
  const member = members.find((known) => known.id === id)
  if (member === undefined) return removed(parts)
  if (!members.some(({ id: other, suffrage }) => other !== id && suffrage === 'voter')) {
    return refuse('last_voter', 'this is the last voter: a cluster needs one')
  }
  if (member.id === self) {
    const timeoutMs = Math.min(handOverMsMax, msLeft(request))
    const handedOver = await replica.transferLeadership({ to: undefined, timeoutMs })
    if (handedOver.ok) return { again: leaderNotFound() }
  }
  const done = await replica.changeMembership({ kind: 'remove', id: member.id }, { timeoutMs: msLeft(request) })
  if (done.ok) return removed(parts)
  // Someone else's removal was faster.
  if (done.problem.code === 'membership_change_invalid' && !isMember(replica, id)) return removed(parts)
  if (done.problem.code === 'membership_change_invalid') return refuse('last_voter', 'this member cannot be removed')
  return replicaRefusal(done.problem)
}

function isMember(replica: Replica, id: string): boolean {
  return replica.status().membership.members.some((member) => member.id === id)
}

function removed(parts: ApiParts): ApiReply {
  return { status: 200, headers: { [servedByHeader]: apiAddress(parts) }, body: '' }
}
