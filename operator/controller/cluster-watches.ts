// What the operator watches: the resource itself, and every kind that it makes. Objects made for a cluster carry its name in a label, so that a watch asks for ours
// only; a Secret that a user of the resource names carries none and is read again now and then instead (`reconcile/reconciler.ts`).
import type { KubeObject } from '../kube/kube.ts'
import { clusterLabel, managedByLabel, operatorName } from '../resource/labels.ts'
import { clusterKind } from '../resource/resource-kind.ts'
import type { ClusterName, WatchedKind } from './controller.ts'

const ours = `${managedByLabel}=${operatorName}`

const madeKinds = [
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  { apiVersion: 'v1', kind: 'Secret' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'v1', kind: 'ServiceAccount' },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  // Made by the StatefulSet; they carry the labels of its template.
  { apiVersion: 'v1', kind: 'Pod' },
] as const

export const clusterWatches: readonly WatchedKind[] = [
  {
    kind: { apiVersion: clusterKind.apiVersion, kind: clusterKind.kind },
    clustersOf: ({ metadata }) => [{ namespace: metadata.namespace ?? '', name: metadata.name }],
  },
  ...madeKinds.map((kind) => ({ kind, labelSelector: ours, clustersOf: clusterOfLabel })),
]

function clusterOfLabel({ metadata }: KubeObject): readonly ClusterName[] {
  const name = metadata.labels?.[clusterLabel]
  return name === undefined ? [] : [{ namespace: metadata.namespace ?? '', name }]
}
