// /db/execute, /db/query and /db/request.
import type { Permission } from '../../contract/permissions.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { levelOf, readAt } from './local-read.ts'
import { writeAtLeader } from './replicated-write.ts'
import { queueWrite } from './queued-write.ts'
import { prepareStatements } from './request-preparation.ts'
import { statementReply } from './statement-reply.ts'

type Purpose = 'execute' | 'query' | 'request'

export function statementEndpoints(parts: ApiParts): readonly Endpoint[] {
  return [
    endpoint(parts, 'execute', ['POST'], ['execute']),
    endpoint(parts, 'query', ['GET', 'POST'], ['query']),
    // It may read and write, whatever a request happens to hold.
    endpoint(parts, 'request', ['POST'], ['query', 'execute']),
  ]
}

function endpoint(parts: ApiParts, purpose: Purpose, methods: readonly string[], permissions: readonly Permission[]): Endpoint {
  const handle = (request: ApiRequest): Promise<ApiReply> =>
    // What a member forwards is carried out here and now: its own queue is the one that it stood in.
    purpose === 'execute' && request.parameters.has('queue') && request.origin === 'client'
      ? queueWrite(parts, request)
      : carryOut(parts, request, purpose)
  return { path: `/db/${purpose}`, methods, permissions, forwardable: true, alwaysServed: false, handle }
}

/** Here, or on the leader. */
export async function carryOut(parts: ApiParts, request: ApiRequest, purpose: Purpose): Promise<ApiReply> {
  const prepared = await prepareStatements(parts, request, purpose)
  if (!prepared.ok) return refuseWith(prepared.problem)
  const { statements, path } = prepared.value
  if (statements.length === 0) return statementReply(parts, request, { results: [], raftIndex: 0, changed: false })
  if (path === 'read') {
    return readAt(parts, request, { level: levelOf(parts, request), statements, name: purpose === 'query' ? 'query' : 'Request' })
  }
  return writeAtLeader(parts, request, { kind: purpose === 'request' ? 'request' : 'execute', statements })
}
