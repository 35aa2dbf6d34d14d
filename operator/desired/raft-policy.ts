import { podLayout } from '../../contract/admin-api.ts'
import type { Cluster } from '../resource/cluster.ts'
import { memberSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/**
 * The Raft port, between members of this cluster. A peer without namespaceSelector means the policy's own namespace. Nothing that a user can write adds to
 * this policy, and the operator is not in it. Whoever may create pods here can forge the label: mutual TLS on the port is what guards it, this is depth.
 */
export function raftPolicy(cluster: Cluster): DesiredObject {
  const members = [{ podSelector: { matchLabels: memberSelector(cluster) } }]
  const ports = [{ protocol: 'TCP', port: podLayout.raftPort }]
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(cluster, names.raftPolicy(cluster)),
    spec: {
      podSelector: { matchLabels: memberSelector(cluster) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: members, ports }],
      egress: [{ to: members, ports }],
    },
  }
}
