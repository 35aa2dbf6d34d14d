// GET /readyz, for probes: `noleader` asks only whether HTTP is served, `sync` whether everything that is committed now has been applied.
import type { RefusalCode } from '../../contract/refusal.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { msLeft, refuse, textHeaders, textReply } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { standingRefusal } from './standing.ts'

export function readyEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/readyz',
    methods: ['GET'],
    permissions: ['ready'],
    forwardable: false,
    alwaysServed: true,
    handle: (request) => (request.parameters.has('noleader') ? Promise.resolve(textReply(200, '[+]node ok')) : ready(parts, request)),
  }
}

/** Its data can be used, and it counts: whoever restarts or replaces members one after the other may go on to the next. */
export function isReady({ view }: ApiParts): boolean {
  const replica = view.replica()
  const status = replica?.status()
  return replica?.standing() === 'member' && status?.leader !== undefined && lackOf(status) === undefined
}

/** Undefined: nothing. A member that cannot vote yet is no stand-in for another one that goes away. */
function lackOf({ appliedIndex, trust, id, membership }: RaftStatus): string | undefined {
  if (appliedIndex === 0) return 'not ready'
  if (trust === 'untrusted') return 'untrusted: it may have lost entries, and has no vote until it has them again'
  const isLearning = membership.members.some((member) => member.id === id && member.suffrage === 'learner')
  return isLearning ? 'learning: it has no vote until it has caught up' : undefined
}

async function ready(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const standing = standingRefusal(parts)
  if (standing?.refusal !== undefined) return notReady([`[+]node ${standing.refusal.message}`], standing.refusal.code)
  if (parts.isEnding()) return notReady(['[+]node is shutting down'])
  const lines = ['[+]node ok']
  const replica = parts.view.replica()
  const status = replica?.status()
  const leader = status?.membership.members.find(({ id }) => id === status.leader)
  if (replica === undefined || status === undefined || leader === undefined) return notReady([...lines, '[+]leader does not exist'])
  if (leader.id !== parts.view.facts.id) {
    const reached = await parts.view.reach(leader, { timeoutMs: msLeft(request) })
    if (!reached.reachable) return notReady([...lines, `[+]leader not contactable: ${reached.error ?? 'no answer'}`])
  }
  lines.push('[+]leader ok')
  const lack = lackOf(status)
  if (lack !== undefined) return notReady([...lines, `[+]store ${lack}`])
  lines.push('[+]store ok')
  if (request.parameters.has('sync')) {
    const synced = await replica.whenApplied(status.commitIndex, { timeoutMs: msLeft(request) })
    if (!synced.ok) return notReady([...lines, `[+]sync ${synced.problem.code}`])
    lines.push('[+]sync ok')
  }
  const one = await parts.reader.query([{ sql: 'SELECT 1', parameters: { kind: 'positional', values: [] } }], {
    transaction: false,
    appliedIndexMin: 0,
  })
  const fault = one.ok ? one.value.results.find((result) => result.kind === 'error') : one.problem
  if (fault !== undefined) return notReady([...lines, `[+]db not ok: (${fault.message}, [])`])
  return textReply(200, [...lines, '[+]db ok'].join('\n'))
}

function notReady(lines: readonly string[], code: RefusalCode = 'not_ready'): ApiReply {
  return { ...refuse(code, lines.at(-1) ?? '', textHeaders), body: lines.join('\n') }
}
