// How rqlite shows a node in /nodes and /leader: fixed order of keys, empty ones left out.
import { printGoDuration } from '../../contract/go-duration.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import type { ApiParts } from './api-parts.ts'
import type { Reachability } from './node-view.ts'

export interface NodeObject {
  readonly id: string
  readonly api_addr?: string
  readonly addr: string
  readonly version: string
  readonly voter: boolean
  readonly reachable: boolean
  readonly leader: boolean
  readonly time?: number
  readonly time_s?: string
  readonly error?: string
}

/** Asks the member whether it is there; this node knows of itself. */
export async function nodeObjectOf(
  parts: ApiParts,
  member: Member,
  options: { readonly leader: NodeId | undefined; readonly timeoutMs: number },
): Promise<NodeObject> {
  const self = member.id === parts.view.facts.id
  const reached: Reachability = self
    ? { reachable: true, seconds: 0, version: parts.view.facts.version, error: undefined }
    : await parts.view.reach(member, { timeoutMs: options.timeoutMs })
  return {
    id: member.id,
    ...(reached.reachable ? { api_addr: member.apiUrl } : {}),
    addr: member.raftAddress,
    version: reached.version ?? 'unknown',
    voter: member.suffrage === 'voter',
    reachable: reached.reachable,
    leader: reached.reachable && member.id === options.leader,
    ...(reached.seconds > 0 ? { time: reached.seconds, time_s: printGoDuration(reached.seconds * 1000) } : {}),
    ...(reached.error === undefined ? {} : { error: reached.error }),
  }
}
