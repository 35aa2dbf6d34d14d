// One pass over one cluster: observe, plan, act, say what is. Level-triggered: it is told a name and reads everything anew; it never waits for something to
// come about, but asks to be called again. A pass on a cluster that is as it should be writes nothing.
import type { Credentials } from '../credentials/credentials.ts'
import type { Installation } from '../desired/installation.ts'
import type { Kube, KubeObject, KubeProblem } from '../kube/kube.ts'
import type { Members } from '../members/members.ts'
import type { Cluster } from '../resource/cluster.ts'
import type { ClusterStatus } from '../resource/cluster-status.ts'
import { operatorUser } from '../resource/labels.ts'
import { names, podUrl } from '../resource/names.ts'
import { namedCluster, parseCluster } from '../resource/parse-cluster.ts'
import type { SpecIssue } from '../resource/parse-cluster.ts'
import { clusterKind } from '../resource/resource-kind.ts'
import { act, fieldManager } from './act.ts'
import type { FailedWrite } from './act.ts'
import { Attempts } from './attempts.ts'
import type { MemberAnswer } from './cluster-health.ts'
import { sameJson } from './difference.ts'
import type { Observation } from './observation.ts'
import { observe } from './observe.ts'
import { isRunning, plan, planUpkeep } from './plan.ts'
import type { Plan, Stage } from './plan.ts'
import type { Action, Problem } from './plan-action.ts'
import { presentShape } from './present-shape.ts'
import { summaryOf } from './reconcile-event.ts'
import type { ReconcileEvent } from './reconcile-event.ts'
import { restartPending } from './restart-pending.ts'
import { secretText } from './secret-text.ts'
import { invalidStatus, statusOf, troubleStatus } from './status.ts'

export interface ReconcilerPorts {
  readonly kube: Kube
  readonly members: Members
  readonly credentials: Credentials
  readonly installation: Installation
  /** Wall clock, milliseconds since the epoch. */
  readonly now: () => number
  readonly report: (event: ReconcileEvent) => void
}

/** Absent `requeueAfterMs`: nothing to look at until something changes. */
export interface ReconcileOutcome {
  readonly requeueAfterMs?: number
}

/** After a stage was written: the next one is planned from what the API server then has. */
export const nextStageAfterMs = 0
/** While members start or stop, their answers change without any event. */
export const unsettledAfterMs = 1000
/** A settled cluster is asked how it is; a change of a password in a Secret that a user names is seen within this time, too, since such Secrets carry no label of ours to be watched by. */
export const settledAfterMs = 5000
/** The API server did not answer, or somebody wrote at the same time. */
export const retryAfterMs = 2000

/** A resource as far as it could be read. */
interface Read {
  readonly cluster: Cluster
  readonly issues: readonly SpecIssue[]
}

export class Reconciler {
  readonly #ports: ReconcilerPorts
  readonly #attempts = new Attempts()

  constructor(ports: ReconcilerPorts) {
    this.#ports = ports
  }

  /** When `signal` aborts, the pass writes nothing more. */
  async reconcile(cluster: { readonly namespace: string; readonly name: string }, signal?: AbortSignal): Promise<ReconcileOutcome> {
    const ref = { apiVersion: clusterKind.apiVersion, kind: clusterKind.kind, namespace: cluster.namespace, name: cluster.name }
    const found = await this.#ports.kube.get(ref)
    if (!found.ok && found.problem.code !== 'not_found') return this.#failed(cluster, 'reading the resource', found.problem)
    // Kubernetes deletes what has the resource as its owner.
    if (!found.ok || found.value.metadata.deletionTimestamp !== undefined) {
      this.#attempts.forget(cluster)
      return {}
    }
    const parsed = parseCluster(found.value)
    const mayWrite = (): boolean => signal?.aborted !== true
    if (parsed.ok) return this.#pass(found.value, { cluster: parsed.value, issues: [] }, mayWrite)
    // Once for each spec: the passes go on.
    if (!isObserved(found.value)) this.#ports.report({ kind: 'spec-invalid', cluster, issues: parsed.problem })
    const named = namedCluster(found.value)
    if (named !== undefined) return this.#pass(found.value, { cluster: named, issues: parsed.problem }, mayWrite)
    const { generation = 0 } = found.value.metadata
    const status = invalidStatus({ issues: parsed.problem, generation, previous: found.value['status'], nowMs: this.#ports.now() })
    return (await this.#writeStatus(found.value, status)) ?? {}
  }

  /** With issues, `cluster` is only what its objects are called: members and certificates are looked after, and nothing else is changed. */
  async #pass(object: KubeObject, { cluster, issues }: Read, mayWrite: () => boolean): Promise<ReconcileOutcome> {
    const { kube, installation, now } = this.#ports
    const observed = await observe(kube, cluster)
    if (!observed.ok) return this.#unread(object, cluster, observed.problem)
    const planned = (issues.length === 0 ? plan : planUpkeep)(observed.value, installation, now())
    const due = planned.actions.filter((action) => this.#attempts.isDue(cluster, summaryOf(action, cluster), now()))
    const failed = await act({ ...this.#ports, mayWrite }, cluster, due)
    if (!mayWrite()) return {}
    this.#remember(cluster, due, failed)
    if (due.length > 0) this.#ports.report(actedEvent(cluster, planned.stage, due, failed))
    const transient = failed.find(({ problem }) => !isForPeople(problem))
    if (transient === undefined) this.#attempts.succeeded(cluster)
    // The first times it is only tried again; then the user is told, too.
    else if (!this.#attempts.failed(cluster)) return this.#failed(cluster, `writing ${transient.object}`, transient.problem)
    const members = await this.#askMembers(observed.value, planned)
    if (!mayWrite()) return {}
    const status = statusOf({
      cluster,
      plan: planned,
      setbacks: [
        ...(transient === undefined ? [] : [trouble(transient.object, transient.problem)]),
        ...planned.actions.flatMap((action) => this.#attempts.problemOf(cluster, summaryOf(action, cluster)) ?? []),
      ],
      members,
      issues,
      isRunning: isRunning(observed.value),
      restartPending: restartPending(observed.value),
      previous: object['status'],
      nowMs: now(),
    })
    const unwritten = await this.#writeStatus(object, status)
    if (transient !== undefined) return this.#failed(cluster, `writing ${transient.object}`, transient.problem)
    // A spec that was invalid from the start made nothing to look after.
    if (unwritten === undefined && issues.length > 0 && !isRunning(observed.value)) return {}
    return unwritten ?? { requeueAfterMs: nextLook(due.length > failed.length, status) }
  }

  #remember(cluster: Cluster, due: readonly Action[], failed: readonly FailedWrite[]): void {
    for (const action of due) {
      const failure = failed.find((candidate) => candidate.action === action)
      if (failure !== undefined && !isForPeople(failure.problem)) continue
      const refused: Problem | undefined = failure && { code: 'ApplyRefused', object: failure.object, message: failure.problem.message }
      this.#attempts.wrote(cluster, summaryOf(action, cluster), this.#ports.now(), refused)
    }
  }

  /** Everybody at once: each answer has its own deadline, and a dead member must not delay the others' health. */
  async #askMembers({ cluster, ...observation }: Observation, { certificates }: Plan): Promise<readonly MemberAnswer[]> {
    const { cluster: shape } = presentShape({ cluster, ...observation })
    const password = secretText(observation.objects.get(`Secret ${names.operatorUser(cluster)}`), 'password')
    const caPem = certificates.client.leaf?.caPem ?? certificates.client.ca?.certificatePem
    const running = observation.objects.has(`StatefulSet ${names.statefulSet(cluster)}`)
    const pods = Array.from({ length: shape.replicas }, (_, ordinal) => names.pod(cluster, ordinal))
    return Promise.all(
      pods.map(async (name): Promise<MemberAnswer> => {
        if (!running || password === undefined || caPem === undefined)
          return { name, problem: { code: 'member_unreachable', message: 'it does not exist yet' } }
        const answer = await this.#ports.members.report({ name, url: podUrl(cluster, name) }, { username: operatorUser, password, caPem })
        return answer.ok ? { name, report: answer.value } : { name, problem: answer.problem }
      }),
    )
  }

  /** Undefined when it was written or did not need to be. */
  async #writeStatus(object: KubeObject, status: ClusterStatus): Promise<ReconcileOutcome | undefined> {
    if (sameJson(status, object['status'])) return undefined
    const { name, namespace = '' } = object.metadata
    const written = await this.#ports.kube.applyStatus(
      { apiVersion: clusterKind.apiVersion, kind: clusterKind.kind, metadata: { name, namespace }, status },
      fieldManager,
    )
    if (written.ok || written.problem.code === 'not_found') return undefined
    return this.#failed({ namespace, name }, 'writing the status', written.problem)
  }

  /** Nothing can be decided: the last status stays, but for what is wrong. */
  async #unread(object: KubeObject, cluster: Cluster, problem: KubeProblem): Promise<ReconcileOutcome> {
    const { generation } = cluster
    const options = {
      trouble: trouble('the objects of the cluster', problem),
      generation,
      previous: object['status'],
      nowMs: this.#ports.now(),
    }
    if (this.#attempts.failed(cluster)) await this.#writeStatus(object, troubleStatus(options))
    return this.#failed(cluster, 'reading the objects', problem)
  }

  #failed(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    doing: string,
    problem: KubeProblem,
  ): ReconcileOutcome {
    this.#ports.report({ kind: 'failed', cluster: { namespace, name }, doing, problem })
    return { requeueAfterMs: retryAfterMs }
  }
}

function nextLook(wrote: boolean, status: ClusterStatus): number {
  if (wrote) return nextStageAfterMs
  return status.readyReplicas === status.replicas && status.leader !== undefined ? settledAfterMs : unsettledAfterMs
}

function isObserved({ metadata, status }: KubeObject): boolean {
  return (
    typeof status === 'object' && status !== null && 'observedGeneration' in status && status.observedGeneration === metadata.generation
  )
}

function trouble(object: string, { code }: KubeProblem): Problem {
  return { code: 'ApiServerProblem', object, problem: code }
}

function actedEvent(cluster: Cluster, stage: Stage, due: readonly Action[], failed: readonly FailedWrite[]): ReconcileEvent {
  const { namespace, name } = cluster
  const actions = due.map((action) => summaryOf(action, cluster))
  return { kind: 'acted', cluster: { namespace, name }, stage, actions, ok: failed.length === 0 }
}

/** A refusal that trying again soon does not change. */
function isForPeople({ code }: KubeProblem): boolean {
  return ['invalid', 'forbidden', 'unauthorized'].includes(code)
}
