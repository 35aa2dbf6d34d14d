// GET /nodes: the members, each asked whether it is there. `ver=2` is a list, the older form an object by node id.
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, msLeft, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { indentJson } from './json-indent.ts'
import { nodeObjectOf } from './node-object.ts'
import type { NodeObject } from './node-object.ts'

export function nodesEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/nodes',
    methods: ['GET'],
    permissions: ['status'],
    forwardable: false,
    alwaysServed: false,
    handle: (request) => nodes(parts, request),
  }
}

async function nodes(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const status = parts.view.replica()?.status()
  if (status === undefined) return refuse('not_ready', 'the node belongs to no cluster yet')
  const shown = status.membership.members.filter(({ suffrage }) => suffrage === 'voter' || request.parameters.has('nonvoters'))
  const timeoutMs = msLeft(request)
  const objects = await Promise.all(shown.map((member) => nodeObjectOf(parts, member, { leader: status.leader, timeoutMs })))
  const json = request.parameters.text('ver') === '2' ? JSON.stringify({ nodes: objects }) : byId(objects)
  return jsonReply(request.parameters.has('pretty') ? indentJson(json) : json)
}

// As text: an object with keys such as `2` and `10` would be put in another order, and `__proto__` would be lost.
function byId(objects: readonly NodeObject[]): string {
  return `{${objects.map((object) => `${JSON.stringify(object.id)}:${JSON.stringify(object)}`).join(',')}}`
}
