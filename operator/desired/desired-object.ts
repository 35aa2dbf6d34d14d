// What we want to exist. Structurally an object of the `kube` port; this room only makes values and does not know that port.
import type { Cluster } from '../resource/cluster.ts'
import { clusterLabels } from '../resource/labels.ts'
import { clusterKind } from '../resource/resource-kind.ts'

export interface DesiredObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: DesiredMetadata
  readonly [field: string]: unknown
}

export interface DesiredMetadata {
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences: readonly OwnerReference[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller: true
  readonly blockOwnerDeletion: true
}

/** Metadata of every object of a cluster. The owner reference makes Kubernetes delete it with the cluster; nothing else of ours ever deletes. */
export function metadataOf(
  cluster: Cluster,
  name: string,
  extra: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> } = {},
): DesiredMetadata {
  return {
    name,
    namespace: cluster.namespace,
    labels: { ...clusterLabels(cluster), ...extra.labels },
    ...(extra.annotations === undefined ? {} : { annotations: extra.annotations }),
    ownerReferences: [ownerReference(cluster)],
  }
}

function ownerReference(cluster: Cluster): OwnerReference {
  return {
    apiVersion: clusterKind.apiVersion,
    kind: clusterKind.kind,
    name: cluster.name,
    uid: cluster.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}
