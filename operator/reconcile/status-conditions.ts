// The judgement behind each condition. PURE. Every reason is listed in resource/conditions.ts.
import type { ConditionType, Reason } from '../resource/conditions.ts'
import type { ClusterHealth } from './cluster-health.ts'
import type { Plan } from './plan.ts'
import { describeProblem } from './plan-action.ts'
import type { Problem } from './plan-action.ts'

export interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

export interface Evidence {
  readonly plan: Plan
  readonly health: ClusterHealth
  /** Writes that the API server refused or somebody undid, and what else kept the pass from being complete. */
  readonly setbacks: readonly Problem[]
  readonly restartPending: boolean
  readonly nowMs: number
  /** All members have been ready at once before. */
  readonly wasServing: boolean
}

type Judge<Type extends ConditionType> = (evidence: Evidence) => Verdict & { readonly reason: Reason<Type> }

export function judge(evidence: Evidence): Readonly<Record<ConditionType, Verdict>> {
  return {
    Ready: ready(evidence),
    Progressing: progressing(evidence),
    Degraded: degraded(evidence),
    UsersReady: usersReady(evidence),
    CertificatesReady: certificatesReady(evidence),
    NetworkRestricted: networkRestricted(evidence),
  }
}

/** Becomes True when every member is ready, and stays so while a majority with a leader serves: it is about clients, Degraded is about members. */
const ready: Judge<'Ready'> = ({ health, wasServing }) => {
  const message = membersReady(health)
  if (health.leader !== undefined && health.ready >= health.wanted) return { status: 'True', reason: 'AllMembersReady', message }
  if (!wasServing) return { status: 'False', reason: 'MembersStarting', message }
  if (health.ready < health.quorum) return { status: 'False', reason: 'QuorumLost', message: `${message}; ${health.quorum} are needed` }
  if (health.leader === undefined) return { status: 'False', reason: 'NoLeader', message: `${message}; no leader is known` }
  return { status: 'True', reason: 'QuorumReady', message }
}

const progressing: Judge<'Progressing'> = ({ plan, health, setbacks: [setback], restartPending, wasServing }) => {
  const stuck = plan.problems.find(isAboutShape)
  if (setback?.code === 'Contested' || setback?.code === 'ApiServerProblem')
    return { status: 'False', reason: setback.code, message: describeProblem(setback) }
  if (setback !== undefined) return { status: 'False', reason: 'Blocked', message: describeProblem(setback) }
  if (plan.actions.length > 0) return { status: 'True', reason: 'Applying', message: 'objects of the cluster are being made or changed' }
  if (stuck !== undefined) return { status: 'False', reason: stuck.code, message: describeProblem(stuck) }
  if (!wasServing && health.ready < health.wanted) return { status: 'True', reason: 'MembersStarting', message: membersReady(health) }
  if (restartPending)
    return {
      status: 'False',
      reason: 'RestartNotSupportedYet',
      message: 'delete the pods one at a time, the leader last, each when all members are ready',
    }
  return { status: 'False', reason: 'Settled', message: 'the cluster is what the spec says' }
}

type ShapeProblem = Extract<Problem, { readonly code: 'ScalingNotSupportedYet' | 'StorageGrowthNotSupportedYet' | 'MembersUnclear' }>
function isAboutShape(problem: Problem): problem is ShapeProblem {
  const { code } = problem
  return code === 'ScalingNotSupportedYet' || code === 'StorageGrowthNotSupportedYet' || code === 'MembersUnclear'
}

const degraded: Judge<'Degraded'> = ({ plan, health, setbacks, wasServing }) => {
  const all = [...setbacks, ...plan.problems]
  const [worst] = all
  if (worst !== undefined) return { status: 'True', reason: worst.code, message: all.map(describeProblem).join('; ') }
  if (health.ready >= health.wanted) return { status: 'False', reason: 'AsExpected', message: 'nothing is wrong' }
  if (!wasServing) return { status: 'False', reason: 'MembersStarting', message: membersReady(health) }
  return { status: 'True', reason: 'MembersNotReady', message: membersReady(health) }
}

const usersReady: Judge<'UsersReady'> = ({ plan, setbacks }) => {
  const problems = plan.problems.filter((problem) => problem.code === 'PasswordSecretMissing' || problem.code === 'PasswordUnusable')
  const [first] = problems
  if (first?.code === 'PasswordSecretMissing' || first?.code === 'PasswordUnusable')
    return { status: 'False', reason: first.code, message: problems.map(describeProblem).join('; ') }
  if (plan.accessGranted) return { status: 'True', reason: 'AccessGranted', message: 'the access file has every user' }
  return pendingOr(setbacks, plan)
}

const certificatesReady: Judge<'CertificatesReady'> = ({ plan, setbacks, nowMs }) => {
  const { client, node } = plan.certificates
  const problem = plan.problems.find(isAboutCertificates)
  if (problem !== undefined) return { status: 'False', reason: problem.code, message: describeProblem(problem) }
  const expiries = [client.leafExpiresAtMs, node.leafExpiresAtMs]
  if (expiries.some((expiry) => expiry !== undefined && expiry <= nowMs))
    return { status: 'False', reason: 'Expired', message: 'a certificate in use has expired' }
  if (expiries.every((expiry) => expiry !== undefined))
    return { status: 'True', reason: 'Issued', message: 'all certificates are in place' }
  return pendingOr(setbacks, plan)
}

type CertificateProblem = Extract<Problem, { readonly code: `CertificateAuthority${string}` }>
function isAboutCertificates(problem: Problem): problem is CertificateProblem {
  return problem.code.startsWith('CertificateAuthority')
}

const networkRestricted: Judge<'NetworkRestricted'> = ({ plan, setbacks }) => {
  const missing = [...setbacks, ...plan.problems].find((problem) => 'object' in problem && problem.object.startsWith('NetworkPolicy '))
  if (missing !== undefined) return { status: 'False', reason: 'Blocked', message: describeProblem(missing) }
  // Policies are written in the first pass, so each of them is there or among the setbacks.
  return {
    status: 'True',
    reason: 'PoliciesInPlace',
    message: 'the NetworkPolicies are in place; whether they are enforced depends on the network plugin',
  }
}

/** `Pending` while it is only a matter of the next passes. */
function pendingOr([setback]: readonly Problem[], { problems }: Plan): Verdict & { readonly reason: 'Blocked' | 'Pending' } {
  const blocking = setback ?? problems.find((problem) => problem.code === 'NameTaken')
  return blocking === undefined
    ? { status: 'Unknown', reason: 'Pending', message: 'not made yet' }
    : { status: 'False', reason: 'Blocked', message: describeProblem(blocking) }
}

function membersReady({ ready: count, wanted }: ClusterHealth): string {
  return `${count} of ${wanted} members are ready`
}
