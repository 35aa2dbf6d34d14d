// Whether pods run with an older template than the StatefulSet has. With `OnDelete` nobody restarts them until the operator does, which it cannot yet.
import { z } from 'zod'
import { names } from '../resource/names.ts'
import type { Observation } from './observation.ts'

const revisions = z.object({
  status: z.object({ replicas: z.int(), updatedReplicas: z.int().default(0), updateRevision: z.string(), currentRevision: z.string() }),
})

/** False where nobody counts revisions (no StatefulSet controller of the real kind). */
export function restartPending({ cluster, objects }: Observation): boolean {
  const parsed = revisions.safeParse(objects.get(`StatefulSet ${names.statefulSet(cluster)}`))
  if (!parsed.success) return false
  const { replicas, updatedReplicas, updateRevision, currentRevision } = parsed.data.status
  return updateRevision !== currentRevision && updatedReplicas < replicas
}
