import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import type { DesiredObject } from './desired-object.ts'
import type { PemPair } from './material.ts'
import { secret } from './secret.ts'

/** The CA that signs the API's certificate. Its key is in no other Secret, and no pod mounts this one. */
export function clientCaSecret(cluster: Cluster, ca: PemPair): DesiredObject {
  return caSecret(cluster, names.clientCa(cluster), ca)
}

/** The CA that signs the certificate of the Raft port. */
export function nodeCaSecret(cluster: Cluster, ca: PemPair): DesiredObject {
  return caSecret(cluster, names.nodeCa(cluster), ca)
}

function caSecret(cluster: Cluster, name: string, ca: PemPair): DesiredObject {
  return secret(cluster, {
    name,
    type: 'tls',
    holds: 'certificate-authority',
    data: { 'tls.crt': ca.certificatePem, 'tls.key': ca.keyPem },
  })
}
