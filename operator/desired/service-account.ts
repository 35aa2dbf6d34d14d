import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/** An identity of its own, without a token in the pods: members never speak to the API server (CIS Kubernetes Benchmark 5.1.5, 5.1.6). */
export function serviceAccount(cluster: Cluster): DesiredObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadataOf(cluster, names.serviceAccount(cluster)),
    automountServiceAccountToken: false,
  }
}
