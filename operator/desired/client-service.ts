import { podLayout } from '../../contract/admin-api.ts'
import type { Cluster } from '../resource/cluster.ts'
import { memberSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/** Where clients connect: any ready member, since each forwards to the leader. The Raft port is not offered. */
export function clientService(cluster: Cluster): DesiredObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(cluster, names.clientService(cluster)),
    spec: {
      type: 'ClusterIP',
      selector: memberSelector(cluster),
      ports: [{ name: 'https', port: podLayout.apiPort, targetPort: podLayout.apiPort, protocol: 'TCP' }],
    },
  }
}
