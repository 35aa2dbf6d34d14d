import { podLayout } from '../../contract/admin-api.ts'
import type { Cluster } from '../resource/cluster.ts'
import { memberSelector, operatorPodLabels } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'
import type { Installation } from './installation.ts'

/** The API port: members, the operator, and whom the resource names. */
export function apiPolicy(cluster: Cluster, installation: Installation): DesiredObject {
  const members = { podSelector: { matchLabels: memberSelector(cluster) } }
  // Both selectors in one peer: as two peers they would let in every pod of the operator's namespace, and such labels anywhere.
  const operator = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': installation.operatorNamespace } },
    podSelector: { matchLabels: operatorPodLabels },
  }
  const ports = [{ protocol: 'TCP', port: podLayout.apiPort }]
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(cluster, names.apiPolicy(cluster)),
    spec: {
      podSelector: { matchLabels: memberSelector(cluster) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [members, operator, ...cluster.allowedClients], ports }],
      egress: [{ to: [members], ports }],
    },
  }
}
