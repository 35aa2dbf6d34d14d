// The names in the certificates. They do not depend on the number of members (a wildcard covers the pods), so scaling never issues a certificate anew.
import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import type { Installation } from './installation.ts'

/** The default domain of a Kubernetes cluster; clients that use another one leave it out and rely on the search list. */
const clusterDomain = 'cluster.local'

export interface CertificateNames {
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** For the API: the Service in each form that a client may use, and each pod by the wildcard of the headless Service. */
export function apiCertificateNames(cluster: Cluster, installation: Installation): CertificateNames {
  const service = names.clientService(cluster)
  const { namespace } = cluster
  return withExtra(installation, [
    service,
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.${clusterDomain}`,
    ...podNames(cluster),
  ])
}

/** For the Raft port: pods only. */
export function nodeCertificateNames(cluster: Cluster, installation: Installation): CertificateNames {
  return withExtra(installation, podNames(cluster))
}

// A wildcard stands for exactly one label (RFC 9525 §6.3).
function podNames(cluster: Cluster): readonly string[] {
  const nodes = `${names.nodesService(cluster)}.${cluster.namespace}.svc`
  return [`*.${nodes}`, `*.${nodes}.${clusterDomain}`]
}

function withExtra(installation: Installation, dnsNames: readonly string[]): CertificateNames {
  return { dnsNames: [...dnsNames, ...installation.extraDnsNames], ipAddresses: installation.extraIpAddresses }
}
