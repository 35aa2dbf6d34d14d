// The port through which the operator (and the process kubelet) speaks to a Kubernetes API server. Two implementations: `client-kube.ts` (a real API
// server, through @kubernetes/client-node's configuration) and `memory-kube.ts` (the in-memory twin). `kube-contract.ts` is the one suite that both pass.
// Objects travel as plain JSON: the client library's typed serializer drops fields that it does not know.
import type { Result } from '../../runtime/result.ts'

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** Any Kubernetes object; parts that a caller needs are parsed where they are used. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** Which collection of the API: `{ apiVersion: 'apps/v1', kind: 'StatefulSet' }`. The kinds that we use are a closed list (`resource-path.ts`). */
export interface Kind {
  readonly apiVersion: string
  readonly kind: string
}

export interface ObjectRef extends Kind {
  readonly namespace: string
  readonly name: string
}

/** `gone`: the watch's resource version is too old (410), list again. `unreachable`: no answer or 5xx, try again later. `forbidden` and `invalid` carry the API server's own message. */
export type KubeProblem = {
  readonly code:
    | 'not_found'
    | 'conflict'
    | 'already_exists'
    | 'gone'
    | 'invalid'
    | 'forbidden'
    | 'unauthorized'
    | 'too_many_requests'
    | 'unreachable'
  readonly message: string
}

export type KubeResult<Value> = Result<Value, KubeProblem>

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string
  /** Equality-based selector, `a=b,c=d`. */
  readonly labelSelector?: string
  /** `metadata.name=x` is the only field selector that we use. */
  readonly fieldSelector?: string
}

export interface ObjectList {
  readonly items: readonly KubeObject[]
  readonly resourceVersion: string
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string
  readonly onEvent: (event: WatchEvent) => void
  /** Ends the watch; the returned promise then resolves with ok. */
  readonly signal: AbortSignal
}

export interface Kube {
  get(ref: ObjectRef): Promise<KubeResult<KubeObject>>
  list(kind: Kind, options: ListOptions): Promise<KubeResult<ObjectList>>
  /** Runs until the server or `signal` ends it (ok: watch again from the last resource version) or it fails (`gone`: list again). Never restarts by itself. */
  watch(kind: Kind, options: WatchOptions): Promise<KubeResult<void>>
  /** Plain create (POST); `already_exists` when it is there. Lease election and the process kubelet need it; all else is applied. */
  create(object: KubeObject): Promise<KubeResult<KubeObject>>
  /** Update (PUT) with optimistic concurrency by metadata.resourceVersion; `conflict` when it has moved. */
  replace(object: KubeObject): Promise<KubeResult<KubeObject>>
  /** Server-side apply with field manager `fieldManager`, forced: fields that we own are ours. `metadata.uid`/`resourceVersion`/`managedFields` must be absent. */
  apply(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>>
  /** Server-side apply to the `status` subresource only. With `metadata.uid`, only that very object (`invalid` when another one has its name by now). */
  applyStatus(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>>
  /** Deletes in the background (dependants by garbage collection); `not_found` when it is not there. With `uid`, only that very object (`conflict` otherwise). */
  remove(ref: ObjectRef, options: { readonly uid?: string }): Promise<KubeResult<void>>
}
