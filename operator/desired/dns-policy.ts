import type { Cluster } from '../resource/cluster.ts'
import { memberSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/** Members find each other by name. TCP too: an answer that does not fit into a datagram is asked again that way (RFC 7766). */
export function dnsPolicy(cluster: Cluster): DesiredObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(cluster, names.dnsPolicy(cluster)),
    spec: {
      podSelector: { matchLabels: memberSelector(cluster) },
      policyTypes: ['Egress'],
      egress: [
        {
          to: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
              podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
            },
            // NodeLocal DNSCache listens on this link-local address on every node that has it.
            { ipBlock: { cidr: '169.254.20.10/32' } },
          ],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
      ],
    },
  }
}
