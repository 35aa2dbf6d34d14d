// The port through which the operator asks the members of a cluster how they are: HTTPS to each pod with the operator's own least-privilege user
// (permission `status` and `ready` only) and the cluster's client CA. Implementations: `https-members.ts`, and a twin for tests.
import type { Result } from '../../runtime/result.ts'

export interface MemberAddress {
  /** Pod name; equals the node id. */
  readonly name: string
  /** `https://orders-0.orders-nodes.shop.svc:4001`; the local runtime maps it to a loopback address. */
  readonly url: string
}

export interface MemberCredentials {
  readonly username: string
  readonly password: string
  /** PEM of the client CA(s) that must have signed the API certificate. */
  readonly caPem: string
}

/** What one member says of itself, from `/status` and `/readyz`. */
export interface MemberReport {
  readonly name: string
  readonly ready: boolean
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner'
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  /** Node id of the leader that this member knows. */
  readonly leader: string | undefined
  /** Members of the Raft configuration as this member has it. */
  readonly members: readonly { readonly id: string; readonly voter: boolean }[]
  readonly version: string
}

export type MemberProblem = {
  readonly code: 'member_unreachable' | 'member_untrusted' | 'member_refused' | 'member_unreadable'
  readonly message: string
}

export interface Members {
  /** Never throws; bounded by a deadline of its own. */
  report(address: MemberAddress, credentials: MemberCredentials): Promise<Result<MemberReport, MemberProblem>>
}
