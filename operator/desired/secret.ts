// The shape that all Secrets of a cluster share. Values are put in as text and travel in base64, as the API wants them.
import type { Cluster } from '../resource/cluster.ts'
import { secretLabel } from '../resource/labels.ts'
import { metadataOf } from './desired-object.ts'
import type { DesiredObject } from './desired-object.ts'

export interface SecretContent {
  readonly name: string
  /** `tls`: kubernetes.io/tls, with tls.crt and tls.key. */
  readonly type: 'tls' | 'opaque'
  /** Value of the label that says what it holds. */
  readonly holds: 'certificate-authority' | 'certificate' | 'trust-bundle' | 'password' | 'access-file'
  readonly data: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export function secret(cluster: Cluster, content: SecretContent): DesiredObject {
  const labels = { [secretLabel]: content.holds }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadataOf(
      cluster,
      content.name,
      content.annotations === undefined ? { labels } : { labels, annotations: content.annotations },
    ),
    type: content.type === 'tls' ? 'kubernetes.io/tls' : 'Opaque',
    data: Object.fromEntries(Object.entries(content.data).map(([key, text]) => [key, Buffer.from(text, 'utf8').toString('base64')])),
  }
}
