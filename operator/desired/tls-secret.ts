import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import type { DesiredObject } from './desired-object.ts'
import type { PemPair } from './material.ts'
import { secret } from './secret.ts'

/** The API's certificate and key, and whom it trusts to sign client certificates. */
export function apiTlsSecret(cluster: Cluster, leaf: PemPair, caPem: string): DesiredObject {
  return tlsSecret(cluster, names.apiTls(cluster), leaf, caPem)
}

/** The members' certificate and key for the Raft port, and the only CA that they trust there. */
export function nodeTlsSecret(cluster: Cluster, leaf: PemPair, caPem: string): DesiredObject {
  return tlsSecret(cluster, names.nodeTls(cluster), leaf, caPem)
}

function tlsSecret(cluster: Cluster, name: string, leaf: PemPair, caPem: string): DesiredObject {
  return secret(cluster, {
    name,
    type: 'tls',
    holds: 'certificate',
    data: { 'tls.crt': leaf.certificatePem, 'tls.key': leaf.keyPem, 'ca.crt': caPem },
  })
}
