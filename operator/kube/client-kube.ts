// The `kube` port on a real API server.
import assert from 'node:assert/strict'
import { KubeConfig } from '@kubernetes/client-node'
import { fail, ok } from '../../runtime/result.ts'
import { isJsonObject, listAt, objectAt, textAt } from './json-object.ts'
import type { Kind, Kube, KubeObject, KubeResult, ListOptions, ObjectList, ObjectRef, WatchOptions } from './kube.ts'
import { problemOf, unreachable } from './kube-problem.ts'
import { KubeTransport } from './kube-transport.ts'
import type { KubeRequest } from './kube-transport.ts'
import { collectionPath, objectPath, resourceOf } from './resource-path.ts'
import { readWatch } from './watch-stream.ts'
import type { WatchBounds } from './watch-stream.ts'

export interface ClientKubeBounds {
  /** Any request but a watch, from its first byte to the last of the answer. */
  readonly requestMs: number
  readonly watch: WatchBounds
}

export const clientKubeBounds: ClientKubeBounds = {
  // An API server under load answers in seconds; the operator's Lease must be renewed within ten.
  requestMs: 8_000,
  // Watches end at the server's side after five to ten minutes, spread so that they do not all come back at once. Bookmarks come about once a minute: two
  // missing ones and a half mean a connection that is dead or of no use.
  watch: { serverSecondsMin: 300, serverSecondsMax: 600, headMs: 30_000, silenceMs: 150_000 },
}

/** The API server may cut a list in pieces of this many objects. */
const listPage = '500'
/** A list of many pages whose start is forgotten before its end is read begins again this often. */
const listAttemptsMax = 3

/** Whatever answered, a proxy perhaps, was not the API server. */
const notAnObject = unreachable('the answer is no Kubernetes object')

/** `file`: a kubeconfig; without one $KUBECONFIG, ~/.kube/config or the pod's own ServiceAccount, as kubectl does. */
export function loadKubeConfig(file: string | undefined): KubeConfig {
  const config = new KubeConfig()
  if (file === undefined) config.loadFromDefault()
  else config.loadFromFile(file)
  return config
}

export class ClientKube implements Kube {
  readonly #transport: KubeTransport
  readonly #bounds: ClientKubeBounds
  readonly #random: () => number

  /** `random` gives [0, 1) and only spreads the ends of watches. */
  constructor(config: KubeConfig, options: { readonly bounds?: ClientKubeBounds; readonly random?: () => number } = {}) {
    this.#transport = new KubeTransport(config)
    this.#bounds = options.bounds ?? clientKubeBounds
    this.#random = options.random ?? Math.random
  }

  /** Closes idle connections; what is still running ends by its own deadline. */
  close(): void {
    this.#transport.close()
  }

  get(ref: ObjectRef): Promise<KubeResult<KubeObject>> {
    return this.#object({ method: 'GET', path: objectPath(ref), query: {} })
  }

  async list(kind: Kind, options: ListOptions): Promise<KubeResult<ObjectList>> {
    let last: KubeResult<ObjectList> = fail({ code: 'gone', message: 'the list was never complete' })
    for (let attempt = 0; attempt < listAttemptsMax; attempt += 1) {
      last = await this.#listOnce(kind, options)
      if (last.ok || last.problem.code !== 'gone') return last
    }
    return last
  }

  async watch(kind: Kind, options: WatchOptions): Promise<KubeResult<void>> {
    const { watch } = this.#bounds
    const seconds = Math.floor(watch.serverSecondsMin + this.#random() * (watch.serverSecondsMax - watch.serverSecondsMin))
    const query = {
      ...selectors(options),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(seconds),
    }
    const open = (signal: AbortSignal): ReturnType<KubeTransport['open']> =>
      this.#transport.open({ method: 'GET', path: collectionPath(kind, options.namespace), query, signal })
    return readWatch(open, { parse: (value) => parseObject(value, kind), options, bounds: watch })
  }

  create(object: KubeObject): Promise<KubeResult<KubeObject>> {
    const path = collectionPath(object, namespaceOf(object))
    return this.#object({ method: 'POST', path, query: { fieldValidation: 'Strict' }, body: object })
  }

  replace(object: KubeObject): Promise<KubeResult<KubeObject>> {
    return this.#object({ method: 'PUT', path: pathOf(object), query: { fieldValidation: 'Strict' }, body: object })
  }

  apply(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    return this.#apply(pathOf(object), object, fieldManager)
  }

  applyStatus(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    const { apiVersion, kind, metadata } = object
    const { name, uid } = metadata
    const identity = { name, namespace: namespaceOf(object), ...(uid === undefined ? {} : { uid }) }
    return this.#apply(`${pathOf(object)}/status`, { apiVersion, kind, metadata: identity, status: object['status'] }, fieldManager)
  }

  async remove(ref: ObjectRef, options: { readonly uid?: string }): Promise<KubeResult<void>> {
    const preconditions = options.uid === undefined ? {} : { preconditions: { uid: options.uid } }
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', ...preconditions }
    const answer = await this.#ask({ method: 'DELETE', path: objectPath(ref), query: {}, body })
    return answer.ok ? ok(undefined) : answer
  }

  #apply(path: string, body: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    const query = { fieldManager, force: 'true', fieldValidation: 'Strict' }
    // JSON is YAML; the API server knows an apply by this content type.
    return this.#object({ method: 'PATCH', path, query, body, contentType: 'application/apply-patch+yaml' })
  }

  async #listOnce(kind: Kind, options: ListOptions): Promise<KubeResult<ObjectList>> {
    const items: KubeObject[] = []
    let next = ''
    for (;;) {
      const query = { ...selectors(options), limit: listPage, ...(next === '' ? {} : { continue: next }) }
      const page = await this.#ask({ method: 'GET', path: collectionPath(kind, options.namespace), query })
      if (!page.ok) return page
      for (const item of listAt(page.value, 'items')) {
        const object = parseObject(item, kind)
        if (object === undefined) return fail(notAnObject)
        items.push(object)
      }
      const metadata = objectAt(page.value, 'metadata')
      next = textAt(metadata, 'continue') ?? ''
      if (next === '') return ok({ items, resourceVersion: textAt(metadata, 'resourceVersion') ?? '' })
    }
  }

  async #object(asked: Omit<KubeRequest, 'signal'>): Promise<KubeResult<KubeObject>> {
    const answer = await this.#ask(asked)
    if (!answer.ok) return answer
    const object = parseObject(answer.value, undefined)
    return object === undefined ? fail(notAnObject) : ok(object)
  }

  async #ask(asked: Omit<KubeRequest, 'signal'>): Promise<KubeResult<unknown>> {
    const answer = await this.#transport.fetch({ ...asked, signal: AbortSignal.timeout(this.#bounds.requestMs) })
    if (!answer.ok) return answer
    const { status, body } = answer.value
    return status >= 200 && status < 300 ? ok(body) : fail(problemOf(status, body))
  }
}

/** An object as we use it: items of a list get the kind that the list leaves out, managedFields are dropped. Undefined when it is no object at all. */
function parseObject(value: unknown, kind: Kind | undefined): KubeObject | undefined {
  if (!isJsonObject(value)) return undefined
  const { managedFields: _managedFields, ...metadata } = objectAt(value, 'metadata')
  const identity = { apiVersion: textAt(value, 'apiVersion') ?? kind?.apiVersion, kind: textAt(value, 'kind') ?? kind?.kind }
  if (identity.apiVersion === undefined || identity.kind === undefined || typeof metadata['name'] !== 'string') return undefined
  return { ...value, ...identity, metadata } as unknown as KubeObject
}

function selectors(options: ListOptions): Readonly<Record<string, string>> {
  return {
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
  }
}

function namespaceOf(object: KubeObject): string {
  const { namespace } = object.metadata
  assert(namespace !== undefined, `${resourceOf(object).plural} "${object.metadata.name}" names no namespace`)
  return namespace
}

function pathOf(object: KubeObject): string {
  const { apiVersion, kind, metadata } = object
  return objectPath({ apiVersion, kind, namespace: namespaceOf(object), name: metadata.name })
}
