// The arguments of a member. `$(POD_NAME)` is replaced by Kubernetes from the container's environment; a pod's name is not a secret, and no secret is
// ever an argument or a variable.
import { podLayout } from '../../contract/admin-api.ts'
import { renderFlag } from '../../contract/flags/render-flag.ts'
import type { Cluster } from '../resource/cluster.ts'
import { names, podDnsName } from '../resource/names.ts'

/** Inside of the volume, not its root: the kubelet gives the root to the pod's group, and the node keeps its folder to itself (0700). */
export const dataFolder = `${podLayout.dataDir}/data`
export const podName = '$(POD_NAME)'

/**
 * The same for every member. The list of members and their number stand here, so changing `replicas` changes the template; pods keep the arguments they
 * were started with (`OnDelete`), and both flags matter only to a member that has no data yet. The alternative, DNS discovery, would keep the template
 * stable, at the price of trusting whatever the DNS answers at the one moment when a cluster is formed.
 */
export function nodeArguments(cluster: Cluster): readonly string[] {
  const { httpTlsDir, nodeTlsDir, accessDir, apiPort, raftPort } = podLayout
  return [
    renderFlag('node-id', podName),
    // Every address of the pod, loopback included: `kubectl port-forward` connects there.
    renderFlag('http-addr', `0.0.0.0:${apiPort}`),
    renderFlag('http-adv-addr', `${podDnsName(cluster, podName)}:${apiPort}`),
    renderFlag('raft-addr', `0.0.0.0:${raftPort}`),
    renderFlag('raft-adv-addr', `${podDnsName(cluster, podName)}:${raftPort}`),
    renderFlag('http-cert', `${httpTlsDir}/tls.crt`),
    renderFlag('http-key', `${httpTlsDir}/tls.key`),
    renderFlag('http-ca-cert', `${httpTlsDir}/ca.crt`),
    renderFlag('node-cert', `${nodeTlsDir}/tls.crt`),
    renderFlag('node-key', `${nodeTlsDir}/tls.key`),
    renderFlag('node-ca-cert', `${nodeTlsDir}/ca.crt`),
    renderFlag('node-verify-client', true),
    renderFlag('auth', `${accessDir}/access.json`),
    renderFlag('bootstrap-expect', cluster.replicas),
    renderFlag('join', raftAddresses(cluster)),
    dataFolder,
  ]
}

function raftAddresses(cluster: Cluster): readonly string[] {
  return Array.from(
    { length: cluster.replicas },
    (_, ordinal) => `${podDnsName(cluster, names.pod(cluster, ordinal))}:${podLayout.raftPort}`,
  )
}
