import { podLayout } from '../../contract/admin-api.ts'
import type { Cluster } from '../resource/cluster.ts'
import { memberSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

/** Headless: gives each pod its DNS name. Also before it is ready, since members must find each other to become ready. */
export function nodesService(cluster: Cluster): DesiredObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(cluster, names.nodesService(cluster)),
    spec: {
      type: 'ClusterIP',
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: memberSelector(cluster),
      ports: [
        { name: 'https', port: podLayout.apiPort, targetPort: podLayout.apiPort, protocol: 'TCP' },
        { name: 'raft', port: podLayout.raftPort, targetPort: podLayout.raftPort, protocol: 'TCP' },
      ],
    },
  }
}
