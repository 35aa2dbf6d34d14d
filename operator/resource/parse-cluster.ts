// The edge where a stored object becomes a Cluster. The API server has checked it against the CRD before; it is checked again here because an object may be
// older than a rule, and because the in-memory twin has no CRD.
import { z } from 'zod'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Cluster, ClusterUser } from './cluster.ts'
import { clusterSpec, replicasDefault } from './cluster-schema.ts'
import type { UserSpec } from './cluster-schema.ts'
import { storedPeer } from './network-peer.ts'
import { clusterKind } from './resource-kind.ts'
import { withoutEmpty } from './without-empty.ts'

// The longest name of ours is that of the StatefulSet plus the hash of its revision, which Kubernetes writes into a label of 63 characters; Services
// add `-nodes`. 40 leaves room for what later versions add.
export const clusterNameMax = 40
/** RFC 1035 label, as a Service name must be. */
export const clusterNamePattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
/**
 * Names whose objects could be another cluster's: `a-nodes` is the headless Service of `a`, and `a-user-b-access` is both the access file of `a-user-b` and
 * the password of the user `b-access` of `a`. No other two names of `names.ts` can meet: of its endings none ends in another.
 */
export const clusterNameTaken = /-nodes$|-user(-|$)/
export const clusterNameTakenMessage =
  'must not end in -nodes or -user nor contain -user-: objects of another cluster could have the same names'
/** When a user names a Secret without a key. */
export const defaultPasswordKey = 'password'

/** `path` is where in the object, such as `spec.users[1].permissions`. */
export interface SpecIssue {
  readonly path: string
  readonly message: string
}

const envelope = z.object({
  apiVersion: z.literal(clusterKind.apiVersion),
  kind: z.literal(clusterKind.kind),
  metadata: z.object({
    name: z
      .string()
      .max(clusterNameMax, { error: `must have at most ${clusterNameMax} characters` })
      .regex(clusterNamePattern, { error: 'must begin with a letter and hold only lower-case letters, digits and -' })
      .refine((name) => !clusterNameTaken.test(name), { error: clusterNameTakenMessage }),
    namespace: z.string().min(1),
    uid: z.string().min(1),
    generation: z.int().min(0).default(0),
  }),
  spec: clusterSpec,
})

/** Every issue is reported, not only the first. */
export function parseCluster(object: unknown): Result<Cluster, readonly SpecIssue[]> {
  const parsed = envelope.safeParse(object, { reportInput: true })
  if (!parsed.success) return fail(parsed.error.issues.flatMap(issueOf))
  const { metadata, spec } = parsed.data
  return ok({
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    generation: metadata.generation,
    replicas: spec.replicas,
    storage: { size: spec.storage.size, storageClassName: spec.storage.storageClassName },
    image: spec.image,
    resources: spec.resources === undefined ? undefined : withoutEmpty(spec.resources),
    users: (spec.users ?? []).map(userOf),
    allowedClients: (spec.network?.allowedClients ?? []).map(storedPeer),
    deletionPolicy: spec.deletionPolicy,
  })
}

/** What a resource is called, and no more: enough to look after what was made for it while its spec cannot be read. Undefined when even that is invalid. */
export function namedCluster(object: unknown): Cluster | undefined {
  const parsed = envelope.omit({ spec: true }).safeParse(object)
  if (!parsed.success) return undefined
  const { name, namespace, uid, generation } = parsed.data.metadata
  const nothingSaid = { image: undefined, resources: undefined, users: [], allowedClients: [], deletionPolicy: 'Retain' as const }
  return {
    name,
    namespace,
    uid,
    generation,
    replicas: replicasDefault,
    storage: { size: '0', storageClassName: undefined },
    ...nothingSaid,
  }
}

function userOf(user: UserSpec): ClusterUser {
  const secret = user.passwordSecret
  return {
    name: user.name,
    permissions: user.permissions,
    passwordSecret: secret === undefined ? undefined : { name: secret.name, key: secret.key ?? defaultPasswordKey },
  }
}

function issueOf(issue: z.core.$ZodIssue): SpecIssue[] {
  const path = pathOf(issue.path)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: path === '' ? key : `${path}.${key}`, message: 'unknown field' }))
  if (issue.code === 'invalid_type')
    return [{ path, message: issue.input === undefined ? 'required' : `must be of type ${issue.expected}` }]
  if (issue.code === 'invalid_value') return [{ path, message: `must be one of ${issue.values.map(String).join(', ')}` }]
  return [{ path, message: issue.message }]
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`)).join('')
}

/** One line for a condition or a terminal. */
export function describeIssues(issues: readonly SpecIssue[]): string {
  return issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ')
}
