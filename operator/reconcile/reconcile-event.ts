// What a pass reports: one closed union, from which main.ts makes log lines and metrics. It never holds a secret: of the actions only kinds, names and reasons
// are here, since the actions themselves carry keys and passwords on their way into a Secret.
import type { KubeProblem } from '../kube/kube.ts'
import type { SpecIssue } from '../resource/parse-cluster.ts'
import type { Cluster } from '../resource/cluster.ts'
import { targetOf } from './plan.ts'
import type { Stage } from './plan.ts'
import type { Action } from './plan-action.ts'

export interface ActionSummary {
  readonly kind: Action['kind']
  /** Kind and name of the object that is written. */
  readonly object: string
  readonly because: string
}

/** What is written and why: two writes with the same summary in a row did not take. */
export function summaryOf(action: Action, cluster: Cluster): ActionSummary {
  return { kind: action.kind, object: targetOf(action, cluster), because: 'because' in action ? action.because : 'needed' }
}

interface ClusterName {
  readonly namespace: string
  readonly name: string
}

export type ReconcileEvent =
  | {
      readonly kind: 'acted'
      readonly cluster: ClusterName
      readonly stage: Stage
      readonly actions: readonly ActionSummary[]
      readonly ok: boolean
    }
  | { readonly kind: 'spec-invalid'; readonly cluster: ClusterName; readonly issues: readonly SpecIssue[] }
  | { readonly kind: 'failed'; readonly cluster: ClusterName; readonly doing: string; readonly problem: KubeProblem }
