// Which object Kubernetes' garbage collector would delete next: one that names owners of which none exists any more
// (kubernetes.io/docs/concepts/architecture/garbage-collection). PURE.
import type { KubeObject } from './kube.ts'

export function garbage(objects: readonly KubeObject[]): KubeObject | undefined {
  const uids = new Set(objects.map((object) => object.metadata.uid))
  return objects.find((object) => {
    const owners = object.metadata.ownerReferences ?? []
    return owners.length > 0 && object.metadata.deletionTimestamp === undefined && owners.every((owner) => !uids.has(owner.uid))
  })
}
