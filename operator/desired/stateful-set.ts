import type { Cluster } from '../resource/cluster.ts'
import { clusterLabels, memberSelector, voterSelector } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'
import type { Installation } from './installation.ts'
import { nodeContainer } from './node-container.ts'

/** User and group of the node program in its image. */
const nodeUser = 1000
// r--r-----: the pod's group reads, others do not; the node refuses a key that others can read.
const secretFileMode = 0o440
// A bound for spilled sorts; a pod above it is evicted rather than filling the disk of its machine.
const tmpSizeLimit = '1Gi'

/** With how many members the cluster was formed. `spec.replicas` of the StatefulSet may be changed by others; what the Raft configuration has is not changed by that. */
export const replicasAnnotation = 'securesql.dev/replicas'

/**
 * The voters. Parallel: members need each other to start. OnDelete: the StatefulSet controller knows no leader and would restart by ordinal; the order is
 * the operator's business.
 */
export function statefulSet(cluster: Cluster, installation: Installation): DesiredObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metadataOf(cluster, names.statefulSet(cluster), { annotations: { [replicasAnnotation]: String(cluster.replicas) } }),
    spec: {
      replicas: cluster.replicas,
      serviceName: names.nodesService(cluster),
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      selector: { matchLabels: voterSelector(cluster) },
      // Never on scaling: a member that leaves may still hold the only copy of something.
      persistentVolumeClaimRetentionPolicy: { whenDeleted: cluster.deletionPolicy, whenScaled: 'Retain' },
      template: { metadata: { labels: { ...clusterLabels(cluster), ...voterSelector(cluster) } }, spec: podSpec(cluster, installation) },
      volumeClaimTemplates: [dataClaim(cluster)],
    },
  }
}

/** Satisfies the Pod Security Standard `restricted`. */
function podSpec(cluster: Cluster, installation: Installation) {
  return {
    serviceAccountName: names.serviceAccount(cluster),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: nodeUser,
      runAsGroup: nodeUser,
      fsGroup: nodeUser,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => spread(cluster, topologyKey)),
    containers: [nodeContainer(cluster, installation)],
    volumes: [
      secretVolume('api-tls', names.apiTls(cluster)),
      secretVolume('node-tls', names.nodeTls(cluster)),
      secretVolume('access', names.access(cluster)),
      { name: 'tmp', emptyDir: { sizeLimit: tmpSizeLimit } },
    ],
  }
}

/** Preferred, not required: a cluster on a laptop must start too. */
function spread(cluster: Cluster, topologyKey: string) {
  return { maxSkew: 1, topologyKey, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: voterSelector(cluster) } }
}

function secretVolume(name: string, secretName: string) {
  return { name, secret: { secretName, defaultMode: secretFileMode } }
}

function dataClaim(cluster: Cluster) {
  const { size, storageClassName } = cluster.storage
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    // Only what can never change: the template of the claims is immutable, and a label of a later version would be refused for ever.
    metadata: { name: 'data', labels: memberSelector(cluster) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: size } },
    },
  }
}
