// How the resource is called in the Kubernetes API.
export const clusterKind = {
  group: 'securesql.dev',
  version: 'v1alpha1',
  apiVersion: 'securesql.dev/v1alpha1',
  kind: 'SecureSqlCluster',
  plural: 'securesqlclusters',
  singular: 'securesqlcluster',
  shortName: 'ssc',
} as const
