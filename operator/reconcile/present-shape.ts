// What of the spec cannot be followed yet on a cluster that exists: its number of members (a member must leave the Raft configuration before its pod goes,
// and join it after its pod came) and the size of its volumes. The cluster keeps the shape that it has; everything else of the spec is followed.
import { z } from 'zod'
import { replicasAnnotation } from '../desired/stateful-set.ts'
import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import { compareQuantities } from '../resource/quantity.ts'
import type { Observation } from './observation.ts'
import type { Problem } from './plan-action.ts'

const annotated = z.object({
  metadata: z.object({
    annotations: z.object({
      [replicasAnnotation]: z
        .string()
        .regex(/^[1-9][0-9]*$/)
        .transform(Number),
    }),
  }),
})
const running = z.object({ spec: z.object({ replicas: z.int() }) })
const claimed = z.object({
  spec: z.object({
    volumeClaimTemplates: z
      .array(z.object({ spec: z.object({ resources: z.object({ requests: z.object({ storage: z.string() }) }) }) }))
      .min(1),
  }),
})

export interface PresentShape {
  readonly cluster: Cluster
  readonly problems: readonly Problem[]
  /** False: how many members there are cannot be known, and a write to the StatefulSet could take pods away that vote. */
  readonly isKnown: boolean
}

export function presentShape({ cluster, objects }: Observation): PresentShape {
  const statefulSet = objects.get(`StatefulSet ${names.statefulSet(cluster)}`)
  if (statefulSet === undefined) return { cluster, problems: [], isKnown: true }
  const said = annotated.safeParse(statefulSet).data?.metadata.annotations[replicasAnnotation]
  const present = running.safeParse(statefulSet).data?.spec.replicas
  const size = claimed.safeParse(statefulSet).data?.spec.volumeClaimTemplates[0]?.spec.resources.requests.storage
  if (said === undefined || said !== present || size === undefined)
    return { cluster, problems: [{ code: 'MembersUnclear', said, present }], isKnown: false }
  const problems: Problem[] = []
  if (present !== cluster.replicas) problems.push({ code: 'ScalingNotSupportedYet', present, wanted: cluster.replicas })
  if (compareQuantities(size, cluster.storage.size) !== 0)
    problems.push({ code: 'StorageGrowthNotSupportedYet', present: size, wanted: cluster.storage.size })
  // In the API server's spelling, since the template of the claims is immutable to the letter.
  return { cluster: { ...cluster, replicas: present, storage: { ...cluster.storage, size } }, problems, isKnown: true }
}
