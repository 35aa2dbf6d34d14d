// Everything that a cluster consists of, in the order in which it must come to be: a pod is never up before what protects it. Owner references make
// Kubernetes delete it all with the resource.
import type { Cluster } from '../resource/cluster.ts'
import { accessSecret } from './access-secret.ts'
import { apiPolicy } from './api-policy.ts'
import { caBundleSecret } from './ca-bundle-secret.ts'
import { clientCaSecret, nodeCaSecret } from './ca-secret.ts'
import { clientService } from './client-service.ts'
import { denyPolicy } from './deny-policy.ts'
import type { DesiredObject } from './desired-object.ts'
import { disruptionBudget } from './disruption-budget.ts'
import { dnsPolicy } from './dns-policy.ts'
import type { Installation } from './installation.ts'
import type { Material } from './material.ts'
import { nodesService } from './nodes-service.ts'
import { operatorPasswordSecret, userPasswordSecret } from './password-secret.ts'
import { raftPolicy } from './raft-policy.ts'
import { serviceAccount } from './service-account.ts'
import { statefulSet } from './stateful-set.ts'
import { apiTlsSecret, nodeTlsSecret } from './tls-secret.ts'

/** What protects the pods and needs no secret. */
export function guards(cluster: Cluster, installation: Installation): readonly DesiredObject[] {
  return [denyPolicy(cluster), raftPolicy(cluster), apiPolicy(cluster, installation), dnsPolicy(cluster), serviceAccount(cluster)]
}

/** What others are made from: CAs and passwords. */
export function roots(
  cluster: Cluster,
  material: Pick<Material, 'clientCa' | 'nodeCa' | 'operatorPassword' | 'userPasswords'>,
): readonly DesiredObject[] {
  return [
    clientCaSecret(cluster, material.clientCa),
    nodeCaSecret(cluster, material.nodeCa),
    operatorPasswordSecret(cluster, material.operatorPassword),
    ...material.userPasswords.map(({ user, password }) => userPasswordSecret(cluster, user, password)),
  ]
}

/** What the pods mount, and what applications trust. */
export function leaves(
  cluster: Cluster,
  material: Pick<Material, 'clientCa' | 'nodeCa' | 'apiLeaf' | 'nodeLeaf' | 'access'>,
): readonly DesiredObject[] {
  return [
    apiTlsSecret(cluster, material.apiLeaf, material.clientCa.certificatePem),
    nodeTlsSecret(cluster, material.nodeLeaf, material.nodeCa.certificatePem),
    caBundleSecret(cluster, material.clientCa.certificatePem),
    accessSecret(cluster, material.access),
  ]
}

/** What runs. */
export function workload(cluster: Cluster, installation: Installation): readonly DesiredObject[] {
  return [nodesService(cluster), clientService(cluster), statefulSet(cluster, installation), disruptionBudget(cluster)]
}

export function desired(cluster: Cluster, material: Material, installation: Installation): readonly DesiredObject[] {
  return [...guards(cluster, installation), ...roots(cluster, material), ...leaves(cluster, material), ...workload(cluster, installation)]
}
