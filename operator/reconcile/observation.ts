// What a pass saw before it decides, as plain values.
import type { KubeObject } from '../kube/kube.ts'
import type { Cluster } from '../resource/cluster.ts'

export interface Observation {
  readonly cluster: Cluster
  /** Objects of this cluster that exist and belong to it, by `objectKey`. */
  readonly objects: ReadonlyMap<string, KubeObject>
  /** Objects with a name that we need which belong to somebody else (another owner, or a former cluster of the same name that is still being deleted). */
  readonly foreign: ReadonlySet<string>
  /** The Secrets that users name, by Secret name; those that do not exist are absent. */
  readonly passwordSecrets: ReadonlyMap<string, KubeObject>
}

export function objectKey(object: { readonly kind: string; readonly metadata: { readonly name: string } }): string {
  return `${object.kind} ${object.metadata.name}`
}
