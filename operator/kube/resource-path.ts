// The kinds that we use and where the API server keeps them. A closed list: discovery would cost a request per kind at every start and make a typing
// error in a kind a problem of the running operator instead of one of its first test.
import assert from 'node:assert/strict'
import type { Kind, ObjectRef } from './kube.ts'

export interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  /** Whether `status` is a subresource: then a write to the object never changes it, and a write to the status changes nothing else. */
  readonly statusSubresource: boolean
  /** Whether the API server counts changes of `spec` in metadata.generation. */
  readonly countsGenerations: boolean
}

const resources: readonly Resource[] = [
  {
    apiVersion: 'securesql.dev/v1alpha1',
    kind: 'SecureSqlCluster',
    plural: 'securesqlclusters',
    statusSubresource: true,
    countsGenerations: true,
  },
  plain('v1', 'Secret', 'secrets'),
  { apiVersion: 'v1', kind: 'Service', plural: 'services', statusSubresource: true, countsGenerations: false },
  plain('v1', 'ServiceAccount', 'serviceaccounts'),
  plain('v1', 'Event', 'events'),
  { apiVersion: 'v1', kind: 'Pod', plural: 'pods', statusSubresource: true, countsGenerations: true },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', statusSubresource: true, countsGenerations: false },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', plural: 'statefulsets', statusSubresource: true, countsGenerations: true },
  {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    plural: 'poddisruptionbudgets',
    statusSubresource: true,
    countsGenerations: true,
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    plural: 'networkpolicies',
    statusSubresource: false,
    countsGenerations: true,
  },
  plain('coordination.k8s.io/v1', 'Lease', 'leases'),
]

function plain(apiVersion: string, kind: string, plural: string): Resource {
  return { apiVersion, kind, plural, statusSubresource: false, countsGenerations: false }
}

/** The resource of a kind; a kind that is not in the list is a bug of ours. */
export function resourceOf(kind: Kind): Resource {
  const found = resources.find((resource) => resource.apiVersion === kind.apiVersion && resource.kind === kind.kind)
  assert(found !== undefined, `no resource path is known for ${kind.apiVersion} ${kind.kind}`)
  return found
}

/** `/apis/apps/v1/namespaces/shop/statefulsets`; over all namespaces without one. */
export function collectionPath(kind: Kind, namespace: string | undefined): string {
  const group = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  return `${group}${scope}/${resourceOf(kind).plural}`
}

export function objectPath(ref: ObjectRef): string {
  return `${collectionPath(ref, ref.namespace)}/${encodeURIComponent(ref.name)}`
}
