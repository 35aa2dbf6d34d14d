// The one schema of a SecureSqlCluster: the parser, the TypeScript type and the CRD's OpenAPI all come from here.
import { z } from 'zod'
import { permissions } from '../../contract/permissions.ts'
import { networkPeer } from './network-peer.ts'
import { quantityPattern } from './quantity.ts'
import { withRule, withTransitionRule } from './validation-rule.ts'

// Every write goes to every voter: more than nine make the cluster slower, not safer (a majority of nine already survives four losses).
export const replicasMax = 9
export const replicasDefault = 3
// Bounds the access file that every node re-reads, and the cost of the CEL rules.
export const usersMax = 128
// A DNS label, so that the Secret of a generated password can carry the user's name.
const userNameMax = 63
export const allowedClientsMax = 64
// A NetworkPolicy, Secret or StorageClass name is a DNS subdomain.
const objectNameMax = 253
const secretKeyMax = 253
// Longest image reference: registry, path, tag and digest.
const imageMax = 512
const resourceNamesMax = 8
/** Users whose names begin with this are ours (the operator's own user). */
export const reservedUserPrefix = 'securesql-'

const dnsSubdomain = z
  .string()
  .min(1)
  .max(objectNameMax)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, {
    error: 'must be a DNS subdomain: lower-case letters, digits, - and .',
  })

const replicas = withRule(
  z.int().max(replicasMax).default(replicasDefault),
  {
    rule: 'self >= 1 && self % 2 == 1',
    message:
      'replicas must be odd and at least 1 (1, 3, 5, 7 …): with an even number one more member votes and not one more loss is survived, and 0 would leave nobody to keep the data',
  },
  (count) => count >= 1 && count % 2 === 1,
).describe('How many voting members the cluster has: odd, 3 by default. 3 survive the loss of one, 5 of two.')

const storage = withTransitionRule(
  z.strictObject({
    size: withTransitionRule(z.string().max(32).regex(quantityPattern, { error: 'must be a quantity such as 10Gi' }), {
      rule: 'quantity(self).compareTo(quantity(oldSelf)) >= 0',
      message: 'storage.size can only grow: volumes cannot be made smaller',
    }).describe('Size of the volume of each member, such as 10Gi. It can only grow.'),
    storageClassName: dnsSubdomain
      .optional()
      .describe("StorageClass of the volumes; the Kubernetes cluster's default when absent. It cannot be changed."),
  }),
  {
    rule: 'has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)',
    message: 'storage.storageClassName cannot be changed: a volume stays in the class that made it',
  },
).describe('The volume of each member.')

const quantity = z
  .union([z.int().min(0), z.string().max(32).regex(quantityPattern, { error: 'must be a quantity such as 500m or 1Gi' })], {
    error: 'must be a quantity such as 500m or 1Gi',
  })
  .meta({ 'x-kubernetes-int-or-string': true })

function resourceList(description: string) {
  return z.record(z.string(), quantity).meta({ maxProperties: resourceNamesMax }).describe(description)
}

const resources = z
  .strictObject({
    requests: resourceList('What the scheduler reserves, by resource name (cpu, memory, ephemeral-storage).').optional(),
    limits: resourceList('What a member may use at most, by resource name.').optional(),
  })
  .describe('Compute resources of each member.')

const user = z.strictObject({
  name: withRule(
    z
      .string()
      .min(1)
      .max(userNameMax)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, { error: 'must be a DNS label: lower-case letters, digits and -' }),
    { rule: "!self.startsWith('securesql-')", message: 'user names that begin with securesql- are reserved' },
    (name) => !name.startsWith(reservedUserPrefix),
  ).describe('Name for HTTP Basic authentication. Names that begin with securesql- are reserved.'),
  permissions: z
    .array(z.enum(permissions))
    .min(1)
    .max(permissions.length)
    // In the CRD the list type `set` refuses duplicates.
    .refine((list) => new Set(list).size === list.length, { error: 'a permission may be named once' })
    .meta({ 'x-kubernetes-list-type': 'set' })
    .describe('What the user may do. `all` grants everything; give no more than the application needs.'),
  passwordSecret: z
    .strictObject({
      name: dnsSubdomain.describe('Name of the Secret, in the namespace of the cluster.'),
      key: z
        .string()
        .min(1)
        .max(secretKeyMax)
        .regex(/^[-._a-zA-Z0-9]+$/, { error: 'must be a key of a Secret' })
        .optional()
        .describe('Key that holds the password; `password` when absent.'),
    })
    .optional()
    .describe('Where the password is. When absent, the operator makes one in the Secret CLUSTER-user-NAME.'),
})

const users = z
  .array(user)
  .max(usersMax)
  // In the CRD the list type `map` refuses duplicates.
  .refine((list) => new Set(list.map((entry) => entry.name)).size === list.length, { error: 'a user may be named once' })
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe('The users of the API. Without any, only the operator itself can ask for status.')

const network = z
  .strictObject({
    allowedClients: z
      .array(networkPeer)
      .max(allowedClientsMax)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Who may open connections to the API port, besides members and the operator. Nobody when absent or empty.'),
  })
  .describe('Who may reach the cluster. The Raft port is closed to everyone but members, always.')

export const clusterSpec = z
  .strictObject({
    replicas,
    storage,
    image: z
      .string()
      .min(1)
      .max(imageMax)
      .regex(/^[a-zA-Z0-9][-a-zA-Z0-9._:/@]*$/, { error: 'must be an image reference' })
      .optional()
      .describe('Image of the members; the one that the operator was installed with when absent.'),
    resources: resources.optional(),
    users: users.optional(),
    network: network.optional(),
    deletionPolicy: z
      .enum(['Retain', 'Delete'])
      .default('Retain')
      .describe(
        'What becomes of the volumes when the resource is deleted: Retain keeps them, and a new cluster of the same name in the namespace takes them over with their data unless their claims are deleted first; Delete removes them with all data.',
      ),
  })
  .describe('What the cluster shall be. The operator never writes here.')

export type ClusterSpec = z.output<typeof clusterSpec>
export type UserSpec = z.output<typeof user>
