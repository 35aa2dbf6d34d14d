// What of the spec cannot be followed yet on a cluster that exists: its number of members (a member must leave the Raft configuration before its pod goes,
// and join it after its pod came) and the size of its volumes. The cluster keeps the shape that it has; everything else of the spec is followed.
import { z } from 'zod'
import { replicasAnnotation } from '../desired/stateful-set.ts'
import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import { compareQuantities } from '../resource/quantity.ts'
import type { Observation } from './observation.ts'
import type { Problem } from './plan-action.ts'

const statefulSetShape = z.object({
  metadata: z.object({ annotations: z.object({ [replicasAnnotation]: z.coerce.number().int().min(1) }) }),
  spec: z.object({
    volumeClaimTemplates: z
      .array(z.object({ spec: z.object({ resources: z.object({ requests: z.object({ storage: z.string() }) }) }) }))
      .min(1),
  }),
})

export function presentShape({ cluster, objects }: Observation): { readonly cluster: Cluster; readonly problems: readonly Problem[] } {
  const parsed = statefulSetShape.safeParse(objects.get(`StatefulSet ${names.statefulSet(cluster)}`))
  const claim = parsed.data?.spec.volumeClaimTemplates[0]
  if (!parsed.success || claim === undefined) return { cluster, problems: [] }
  const problems: Problem[] = []
  const present = { replicas: parsed.data.metadata.annotations[replicasAnnotation], size: claim.spec.resources.requests.storage }
  if (present.replicas !== cluster.replicas)
    problems.push({ code: 'ScalingNotSupportedYet', present: present.replicas, wanted: cluster.replicas })
  if (compareQuantities(present.size, cluster.storage.size) !== 0) {
    problems.push({ code: 'StorageGrowthNotSupportedYet', present: present.size, wanted: cluster.storage.size })
  }
  // In the API server's spelling, since the template of the claims is immutable to the letter.
  const storage = { ...cluster.storage, size: present.size }
  return { cluster: { ...cluster, replicas: present.replicas, storage }, problems }
}
