// What every object of a cluster is called: the only place that makes such names.
import { podLayout } from '../../contract/admin-api.ts'

/** Enough of a cluster to name its objects. */
export interface Named {
  readonly name: string
  readonly namespace: string
}

export const names = {
  statefulSet: (cluster: Named) => cluster.name,
  serviceAccount: (cluster: Named) => `${cluster.name}-node`,
  disruptionBudget: (cluster: Named) => cluster.name,
  /** The Service that clients use. */
  clientService: (cluster: Named) => cluster.name,
  /** The headless Service that gives each pod its DNS name. */
  nodesService: (cluster: Named) => `${cluster.name}-nodes`,
  denyPolicy: (cluster: Named) => `${cluster.name}-deny`,
  raftPolicy: (cluster: Named) => `${cluster.name}-raft`,
  apiPolicy: (cluster: Named) => `${cluster.name}-api`,
  dnsPolicy: (cluster: Named) => `${cluster.name}-dns`,
  /** CA key and certificate that sign the API's leaf. Never mounted. */
  clientCa: (cluster: Named) => `${cluster.name}-client-ca`,
  /** CA key and certificate that sign the leaf of the Raft port. Never mounted. */
  nodeCa: (cluster: Named) => `${cluster.name}-node-ca`,
  /** The client CA's certificate alone, for applications to mount. */
  caBundle: (cluster: Named) => `${cluster.name}-ca-bundle`,
  apiTls: (cluster: Named) => `${cluster.name}-api-tls`,
  nodeTls: (cluster: Named) => `${cluster.name}-node-tls`,
  access: (cluster: Named) => `${cluster.name}-access`,
  /** The operator's own user. */
  operatorUser: (cluster: Named) => `${cluster.name}-operator`,
  /** A password that the operator made. */
  userPassword: (cluster: Named, user: string) => `${cluster.name}-user-${user}`,
  pod: (cluster: Named, ordinal: number) => `${cluster.name}-${ordinal}`,
} as const

/** DNS name of a pod inside of the Kubernetes cluster. Without the cluster's domain: it is found by the search list, and the certificates have both forms. */
export function podDnsName(cluster: Named, pod: string): string {
  return `${pod}.${names.nodesService(cluster)}.${cluster.namespace}.svc`
}

export function endpointUrl(cluster: Named): string {
  return `https://${names.clientService(cluster)}.${cluster.namespace}.svc:${podLayout.apiPort}`
}

export function podUrl(cluster: Named, pod: string): string {
  return `https://${podDnsName(cluster, pod)}:${podLayout.apiPort}`
}
