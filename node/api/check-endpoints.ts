// POST /check has all nodes read through their databases and compare what they hold; /status says what came of it. Another member, the leader, asks for this node's finding.
import { anonymous } from '../access/identity.ts'
import type { NodeId } from '../raft/membership.ts'
import { checkReportText, parseCheckReport, type CheckReport } from '../replica/check-report.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, msLeft } from './exchange.ts'
import type { ApiRequest } from './exchange.ts'
import type { Forwarder } from './forwarder.ts'
import { indentJson } from './json-indent.ts'
import { atLeader, type Served } from './leader-route.ts'
import { replicaRefusal } from './replica-refusal.ts'

export function checkEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/check',
    methods: ['POST'],
    permissions: ['snapshot'],
    forwardable: true,
    alwaysServed: false,
    handle: (request) => atLeader(parts, request, { name: 'check', changes: true, serve: () => begin(parts, request) }),
  }
}

async function begin(parts: ApiParts, request: ApiRequest): Promise<Served> {
  const begun = await parts.checks.begin({ timeoutMs: msLeft(request) })
  if (!begun.ok) return replicaRefusal(begun.problem)
  const json = JSON.stringify({ index: begun.value.index })
  return jsonReply(request.parameters.has('pretty') ? indentJson(json) : json)
}

const reportPath = '/check/report'
const reportMsMax = 5_000

/** Asks another member for its finding; undefined: no answer, or a program that knows no checks. */
export async function askForReport(forwarder: Forwarder, member: NodeId): Promise<CheckReport | undefined> {
  const answer = await forwarder.forward(member, {
    method: 'GET',
    path: reportPath,
    query: '',
    contentType: '',
    body: new Uint8Array(),
    identity: anonymous,
    timeoutMs: reportMsMax,
  })
  return answer.ok && answer.value.status === 200 ? parseCheckReport(answer.value.body) : undefined
}

/** Not in the clients' table. A node that serves nothing tells it too. */
export function checkReportEndpoint(parts: ApiParts): Endpoint {
  return {
    path: reportPath,
    methods: ['GET'],
    permissions: [],
    forwardable: true,
    alwaysServed: true,
    handle: () => Promise.resolve(jsonReply(checkReportText(parts.checks.report()))),
  }
}
