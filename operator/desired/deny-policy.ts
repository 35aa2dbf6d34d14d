import type { Cluster } from '../resource/cluster.ts'
import { memberSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/** Nothing in, nothing out. The other policies only ever add to this. */
export function denyPolicy(cluster: Cluster): DesiredObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(cluster, names.denyPolicy(cluster)),
    spec: { podSelector: { matchLabels: memberSelector(cluster) }, policyTypes: ['Ingress', 'Egress'] },
  }
}
