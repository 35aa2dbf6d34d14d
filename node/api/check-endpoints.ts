// POST /check has all nodes read through their databases and compare what they hold; /status says what came of it. Another member, the leader, asks for this node's finding.
import { anonymous } from '../access/identity.ts'
import type { NodeId } from '../raft/membership.ts'
import { checkReportText, parseCheckReport, type CheckReport } from '../replica/check-report.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, msLeft, refuseWith, textHeaders } from './exchange.ts'
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
const hashPath = '/check/state-hash'
const askMsMax = 5_000

/** Asks another member for its finding; undefined: no answer, or a program that knows no checks. */
export async function askForReport(forwarder: Forwarder, member: NodeId): Promise<CheckReport | undefined> {
  const answer = await ask(forwarder, member, reportPath)
  return answer === undefined ? undefined : parseCheckReport(answer)
}

/** Asks another member for the hash of its state behind a command; undefined: no answer, or it does not know it. */
export async function askForStateHash(forwarder: Forwarder, member: NodeId, index: number): Promise<string | undefined> {
  const answer = await ask(forwarder, member, hashPath, String(index))
  const text = answer === undefined ? '' : Buffer.from(answer).toString('latin1')
  return /^[0-9a-f]{16}$/.test(text) ? text : undefined
}

async function ask(forwarder: Forwarder, member: NodeId, path: string, body = ''): Promise<Uint8Array | undefined> {
  const request = { method: 'POST', path, query: '', contentType: '', body: Buffer.from(body), identity: anonymous, timeoutMs: askMsMax }
  const answer = await forwarder.forward(member, request)
  return answer.ok && answer.value.status === 200 ? answer.value.body : undefined
}

/** Not in the clients' table. A node that serves nothing tells it too. */
export function checkReportEndpoints(parts: ApiParts): readonly Endpoint[] {
  const asked = { methods: ['POST'], permissions: [], forwardable: true, alwaysServed: true } as const
  return [
    { path: reportPath, ...asked, handle: () => Promise.resolve(jsonReply(checkReportText(parts.checks.report()))) },
    {
      path: hashPath,
      ...asked,
      handle: async (request) => {
        const asked = await request.body()
        if (!asked.ok) return refuseWith(asked.problem)
        const index = Number(Buffer.from(asked.value).toString('latin1'))
        return { status: 200, headers: textHeaders, body: parts.checks.stateHashAt(index) ?? '' }
      },
    },
  ]
}
