import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import type { DesiredObject } from './desired-object.ts'
import { secret } from './secret.ts'

/** What applications mount to trust the API: the certificate alone. (Mounting the server's own Secret would hand them its key.) */
export function caBundleSecret(cluster: Cluster, caPem: string): DesiredObject {
  return secret(cluster, { name: names.caBundle(cluster), type: 'opaque', holds: 'trust-bundle', data: { 'ca.crt': caPem } })
}
