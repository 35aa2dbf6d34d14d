// The status of a SecureSqlCluster: what the operator saw. It can always be made again from the world; nothing is remembered here that is needed to act.
import { z } from 'zod'
import { conditionTypes } from './conditions.ts'
import { replicasMax } from './cluster-schema.ts'

const instant = z.iso.datetime()
// Same bounds as metav1.Condition.
const condition = z.strictObject({
  type: z
    .string()
    .max(316)
    .describe('Which aspect: ' + conditionTypes.join(', ') + '.'),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().min(1).max(1024).describe('One stable word for programs.'),
  message: z.string().max(32_768).describe('A sentence for people.'),
  lastTransitionTime: instant.describe('When the status last changed.'),
  observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this condition is about.'),
})

const member = z.strictObject({
  name: z.string().describe('Name of the pod, and node id of the member.'),
  role: z.enum(['Leader', 'Follower', 'Candidate', 'Learner', 'Unknown']).describe('Its part in Raft; Unknown when it does not answer.'),
  ready: z.boolean().describe('Whether it says that it can serve.'),
  message: z.string().max(1024).optional().describe('Why it is not known.'),
})

const certificates = z.strictObject({
  expiresAt: instant
    .optional()
    .describe('When the first of the leaf certificates expires. They are renewed after two thirds of their life.'),
  clientCaExpiresAt: instant.optional().describe('When the CA expires that clients trust.'),
  nodeCaExpiresAt: instant.optional().describe('When the CA expires that members trust among each other.'),
})

export const clusterStatus = z
  .strictObject({
    observedGeneration: z.int().min(0).optional().describe('The generation of the spec that the operator acted on last.'),
    conditions: z
      .array(condition)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
    leader: z.string().optional().describe('Name of the member that leads; absent when there is none.'),
    members: z
      .array(member)
      .max(replicasMax * 2)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    endpoint: z.string().optional().describe('URL of the API for clients inside of the Kubernetes cluster.'),
    certificates: certificates.optional(),
    replicas: z.int().min(0).optional().describe('How many members there are.'),
    readyReplicas: z.int().min(0).optional().describe('How many members say that they can serve.'),
    selector: z.string().optional().describe('Label selector of the members, for the scale subresource.'),
  })
  .describe('What the operator saw last.')

export type ClusterStatus = z.output<typeof clusterStatus>
export type Condition = z.output<typeof condition>
export type MemberStatus = z.output<typeof member>
