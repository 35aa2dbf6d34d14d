// The status that a pass leaves behind. PURE: what was planned, done and heard in; the whole status out. Nothing in it changes from pass to pass while the
// world does not (no counters, no indexes, no times but transitions), so that an unchanged cluster is never written to.
import { clusterStatus } from '../resource/cluster-status.ts'
import type { ClusterStatus, Condition, MemberStatus } from '../resource/cluster-status.ts'
import type { Cluster } from '../resource/cluster.ts'
import type { ConditionType } from '../resource/conditions.ts'
import { conditionTypes } from '../resource/conditions.ts'
import { memberSelector, selectorText } from '../resource/labels.ts'
import { endpointUrl } from '../resource/names.ts'
import { describeIssues } from '../resource/parse-cluster.ts'
import type { SpecIssue } from '../resource/parse-cluster.ts'
import type { MemberAnswer } from './cluster-health.ts'
import { clusterHealth } from './cluster-health.ts'
import type { Plan } from './plan.ts'
import { describeProblem } from './plan-action.ts'
import type { Problem } from './plan-action.ts'
import { judge } from './status-conditions.ts'
import type { Verdict } from './status-conditions.ts'

// The API accepts 32 768; a status is for reading.
const messageMax = 1024

export interface Pass {
  readonly cluster: Cluster
  readonly plan: Plan
  /** What kept the pass from being complete. */
  readonly setbacks: readonly Problem[]
  /** One for each member that shall exist. */
  readonly members: readonly MemberAnswer[]
  /** Why the spec could not be read; then users and policies are as the last readable one said. */
  readonly issues: readonly SpecIssue[]
  readonly isRunning: boolean
  /** The pods run another template than the StatefulSet has. */
  readonly restartPending: boolean
  readonly previous: unknown
  readonly nowMs: number
}

export function statusOf(pass: Pass): ClusterStatus {
  const { cluster, plan, members } = pass
  const previous = previousStatus(pass.previous)
  const health = clusterHealth(members, members.length)
  const verdicts = judge({
    plan,
    health,
    setbacks: pass.setbacks,
    restartPending: pass.restartPending,
    nowMs: pass.nowMs,
    wasServing: wasServing(previous),
  })
  const certificates = certificatesOf(plan)
  return {
    observedGeneration: cluster.generation,
    conditions: conditionsOf(withIssues(verdicts, pass), previous, cluster.generation, pass.nowMs),
    ...(health.leader === undefined ? {} : { leader: health.leader }),
    members: members.map((answer) => memberStatus(answer, health.leader)),
    endpoint: endpointUrl(cluster),
    ...(Object.keys(certificates).length === 0 ? {} : { certificates }),
    replicas: members.length,
    readyReplicas: health.ready,
    selector: selectorText(memberSelector(cluster)),
  }
}

/** Ready and the certificates are facts whatever the spec says; of users and policies nothing new is known. */
function withIssues(
  verdicts: Readonly<Record<ConditionType, Verdict>>,
  { issues, isRunning }: Pass,
): Partial<Record<ConditionType, Verdict>> {
  if (issues.length === 0) return verdicts
  const { Ready, CertificatesReady } = verdicts
  return isRunning
    ? { Ready, CertificatesReady, ...invalidVerdicts(issues) }
    : { Ready: invalid(issues, 'False'), ...invalidVerdicts(issues) }
}

function invalid(issues: readonly SpecIssue[], status: 'True' | 'False'): Verdict {
  return { status, reason: 'InvalidSpec', message: describeIssues(issues) }
}

function invalidVerdicts(issues: readonly SpecIssue[]) {
  return { Progressing: invalid(issues, 'False'), Degraded: invalid(issues, 'True') }
}

/** For a resource that cannot even have objects: says so, and leaves everything else as it was. */
export function invalidStatus(options: {
  readonly issues: readonly SpecIssue[]
  readonly generation: number
  readonly previous: unknown
  readonly nowMs: number
}): ClusterStatus {
  const previous = previousStatus(options.previous)
  const verdicts = { Ready: invalid(options.issues, 'False'), ...invalidVerdicts(options.issues) }
  return {
    ...previous,
    observedGeneration: options.generation,
    conditions: conditionsOf(verdicts, previous, options.generation, options.nowMs),
  }
}

/** For passes that the API server keeps cutting short: says so, and leaves everything else as it was. */
export function troubleStatus(options: {
  readonly trouble: Problem
  readonly generation: number
  readonly previous: unknown
  readonly nowMs: number
}): ClusterStatus {
  const previous = previousStatus(options.previous)
  const message = describeProblem(options.trouble)
  const verdicts: Partial<Record<ConditionType, Verdict>> = {
    Progressing: { status: 'False', reason: options.trouble.code, message },
    Degraded: { status: 'True', reason: options.trouble.code, message },
  }
  return { ...previous, conditions: conditionsOf(verdicts, previous, options.generation, options.nowMs) }
}

function previousStatus(value: unknown): ClusterStatus {
  const parsed = clusterStatus.safeParse(value ?? {})
  return parsed.success ? parsed.data : {}
}

/** Whether the members have all been ready before. Read from the last status; if that is lost, Ready is False until all are ready again: too careful, never too bold. */
function wasServing(previous: ClusterStatus): boolean {
  const ready = previous.conditions?.find((condition) => condition.type === 'Ready')
  return ready !== undefined && ['AllMembersReady', 'QuorumReady', 'NoLeader', 'QuorumLost'].includes(ready.reason)
}

function conditionsOf(
  verdicts: Partial<Record<ConditionType, Verdict>>,
  previous: ClusterStatus,
  generation: number,
  nowMs: number,
): Condition[] {
  return conditionTypes.flatMap((type) => {
    const before = previous.conditions?.find((condition) => condition.type === type)
    const verdict = verdicts[type]
    if (verdict === undefined) return before === undefined ? [] : [before]
    const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : toInstant(nowMs)
    return [
      {
        type,
        status: verdict.status,
        reason: verdict.reason,
        message: verdict.message.slice(0, messageMax),
        lastTransitionTime,
        observedGeneration: generation,
      },
    ]
  })
}

function memberStatus(answer: MemberAnswer, leader: string | undefined): MemberStatus {
  if ('problem' in answer) return { name: answer.name, role: 'Unknown', ready: false, message: answer.problem.code }
  const { report } = answer
  const role = ({ leader: 'Leader', follower: 'Follower', candidate: 'Candidate', learner: 'Learner' } as const)[report.role]
  // A deposed leader that has not heard of it yet still calls itself one.
  return { name: answer.name, role: role === 'Leader' && leader !== answer.name ? 'Follower' : role, ready: report.ready }
}

function certificatesOf({ certificates: { client, node } }: Plan): NonNullable<ClusterStatus['certificates']> {
  const leaves = [client.leafExpiresAtMs, node.leafExpiresAtMs].filter((expiry) => expiry !== undefined)
  return {
    ...(leaves.length === 0 ? {} : { expiresAt: toInstant(Math.min(...leaves)) }),
    ...(client.caExpiresAtMs === undefined ? {} : { clientCaExpiresAt: toInstant(client.caExpiresAtMs) }),
    ...(node.caExpiresAtMs === undefined ? {} : { nodeCaExpiresAt: toInstant(node.caExpiresAtMs) }),
  }
}

/** Whole seconds, as metav1.Time has. */
function toInstant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
