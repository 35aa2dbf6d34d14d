import { quorumOf } from '../resource/cluster.ts'
import type { Cluster } from '../resource/cluster.ts'
import { voterSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/** Evictions may take as many voters as a quorum can spare. A single member has no availability to protect: a budget of 0 would only block every drain for ever. */
export function disruptionBudget(cluster: Cluster): DesiredObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(cluster, names.disruptionBudget(cluster)),
    spec: {
      maxUnavailable: Math.max(1, cluster.replicas - quorumOf(cluster.replicas)),
      selector: { matchLabels: voterSelector(cluster) },
    },
  }
}
