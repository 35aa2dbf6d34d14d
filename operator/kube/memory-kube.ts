// The in-memory twin of a Kubernetes API server: resource versions, generations, server-side apply with field managers, a separate status, watches over a
// bounded history, optimistic concurrency, garbage collection by owner reference. kube-contract.ts holds it to what a real API server does.
// What it has not: namespaces as objects, defaulting, admission (but for `admit`), graceful deletion (a Pod without a node is deleted at once there too).
import { fail, ok } from '../../runtime/result.ts'
import { garbage } from './garbage.ts'
import { jsonCopy } from './json-object.ts'
import type { JsonObject } from './json-object.ts'
import type { Kind, Kube, KubeObject, KubeResult, ListOptions, ObjectList, ObjectRef, WatchOptions } from './kube.ts'
import {
  born,
  checkApplied,
  checkWritten,
  invalid,
  notFound,
  rfc3339,
  sameObject,
  succeeded,
  withStatus,
  withVersion,
} from './object-rules.ts'
import { resourceOf } from './resource-path.ts'
import { selects } from './selector.ts'
import { applyFields, replaceFields } from './server-side-apply.ts'
import type { Managed, Managers } from './server-side-apply.ts'
import { WatchHistory } from './watch-history.ts'

/** Schema validation, as a CRD's: gives the object to store, or `invalid`. */
export type Admit = (object: KubeObject, before: KubeObject | undefined) => KubeResult<KubeObject>

export interface MemoryKubeOptions {
  readonly now: () => Date
  readonly newUid: () => string
  readonly admit?: Admit
  /** How many changes a watch can look back; more than a real API server keeps per kind is never needed. */
  readonly historyMax?: number
}

interface Stored {
  readonly object: KubeObject
  readonly managers: Managers
}

/** The API server's watch cache keeps at least 100 events of each kind; we keep one window for all. */
const historyMaxDefault = 1_000
/** Not zero, so that version 1 is always too old, as on a server with a past. */
const versionFirst = 1_000
/** The manager of create and replace. */
const updater = 'update'

export class MemoryKube implements Kube {
  readonly #options: MemoryKubeOptions
  readonly #objects = new Map<string, Stored>()
  readonly #history: WatchHistory
  #version = versionFirst

  constructor(options: MemoryKubeOptions) {
    this.#options = options
    this.#history = new WatchHistory({ limit: options.historyMax ?? historyMaxDefault, firstVersion: versionFirst })
  }

  async get(ref: ObjectRef): Promise<KubeResult<KubeObject>> {
    const stored = this.#objects.get(keyOf(ref))
    return stored === undefined ? fail(notFound(ref)) : ok(stored.object)
  }

  async list(kind: Kind, options: ListOptions): Promise<KubeResult<ObjectList>> {
    const selected = selects(options)
    const collection = `${collectionOf(kind)}/`
    const items = [...this.#objects].filter(([key, stored]) => key.startsWith(collection) && selected(stored.object))
    items.sort(([left], [right]) => (left < right ? -1 : 1))
    return ok({ items: items.map(([, stored]) => stored.object), resourceVersion: String(this.#version) })
  }

  watch(kind: Kind, options: WatchOptions): Promise<KubeResult<void>> {
    return this.#history.watch(collectionOf(kind), options)
  }

  async create(object: KubeObject): Promise<KubeResult<KubeObject>> {
    const wrong = checkWritten(object)
    if (wrong !== undefined) return fail(wrong)
    if (this.#objects.has(keyOf(refOf(object)))) {
      return fail({ code: 'already_exists', message: `${resourceOf(object).plural} "${object.metadata.name}" already exists` })
    }
    return this.#begin(object, replaceFields(nothing, object, updater).managers)
  }

  async replace(object: KubeObject): Promise<KubeResult<KubeObject>> {
    const wrong = checkWritten(object)
    if (wrong !== undefined) return fail(wrong)
    const before = this.#objects.get(keyOf(refOf(object)))
    if (before === undefined) return fail(notFound(refOf(object)))
    const { uid, resourceVersion } = object.metadata
    if (resourceVersion !== undefined && resourceVersion !== before.object.metadata.resourceVersion) return fail(moved(object))
    if (uid !== undefined && uid !== before.object.metadata.uid) return fail(moved(object))
    return this.#succeed(before, replaceFields(before, jsonCopy(object), updater))
  }

  async apply(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    const wrong = checkApplied(object)
    if (wrong !== undefined) return fail(wrong)
    const wanted = resourceOf(object).statusSubresource ? withoutStatus(object) : object
    const before = this.#objects.get(keyOf(refOf(object)))
    if (before === undefined) return this.#begin(object, applyFields(nothing, wanted, fieldManager).managers)
    return this.#succeed(before, applyFields(before, jsonCopy(wanted), fieldManager))
  }

  async applyStatus(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    const { uid, ...metadata } = object.metadata
    const wrong = checkApplied({ ...object, metadata })
    if (wrong !== undefined) return fail(wrong)
    const before = this.#objects.get(keyOf(refOf(object)))
    if (before === undefined || !resourceOf(object).statusSubresource) return fail(notFound(refOf(object)))
    if (uid !== undefined && uid !== before.object.metadata.uid)
      return fail(invalid(`metadata.uid: Invalid value: "${uid}": field is immutable`))
    const wanted = jsonCopy({ status: object['status'] })
    const applied = applyFields(before, wanted, `${fieldManager} (status)`)
    return ok(this.#store(before, { object: withStatus(before.object, applied.object), managers: applied.managers }))
  }

  async remove(ref: ObjectRef, options: { readonly uid?: string }): Promise<KubeResult<void>> {
    const stored = this.#objects.get(keyOf(ref))
    if (stored === undefined) return fail(notFound(ref))
    if (options.uid !== undefined && options.uid !== stored.object.metadata.uid) return fail(moved(stored.object))
    const { finalizers, deletionTimestamp } = stored.object.metadata
    if ((finalizers ?? []).length === 0) this.#forget(stored)
    else if (deletionTimestamp === undefined) {
      const metadata = { ...stored.object.metadata, deletionTimestamp: rfc3339(this.#options.now()) }
      this.#store(stored, { ...stored, object: { ...stored.object, metadata } })
    }
    return ok(undefined)
  }

  /** Sends every watch a bookmark, as a real API server does about once a minute. */
  sendBookmarks(): void {
    this.#history.bookmarkAll(this.#version)
  }

  /** Ends every running watch with `result`: what a restart of the API server or a lost connection looks like. */
  endWatches(result: KubeResult<void>): void {
    this.#history.endAll(result)
  }

  /** Forgets the past: a watch from before now is `gone`. */
  compact(): void {
    this.#history.forget(this.#version)
  }

  #begin(object: KubeObject, managers: Managers): KubeResult<KubeObject> {
    const stamp = { version: this.#version + 1, now: this.#options.now(), uid: this.#options.newUid() }
    const admitted = this.#admit(born(jsonCopy(object), stamp), undefined)
    return admitted.ok ? ok(this.#store(undefined, { object: admitted.value, managers })) : admitted
  }

  #succeed(before: Stored, next: Managed): KubeResult<KubeObject> {
    const successor = succeeded(before.object, next.object as KubeObject)
    if (!successor.ok) return successor
    const admitted = this.#admit(successor.value, before.object)
    if (!admitted.ok) return admitted
    const stored = this.#store(before, { object: admitted.value, managers: next.managers })
    if (stored.metadata.deletionTimestamp !== undefined && (stored.metadata.finalizers ?? []).length === 0) {
      this.#forget({ object: stored, managers: next.managers })
    }
    return ok(stored)
  }

  #admit(object: KubeObject, before: KubeObject | undefined): KubeResult<KubeObject> {
    return this.#options.admit === undefined ? ok(object) : this.#options.admit(object, before)
  }

  /** Stores a state and tells the watches, unless nothing changed. */
  #store(before: Stored | undefined, next: Stored): KubeObject {
    const key = keyOf(refOf(next.object))
    if (before !== undefined && sameObject(before.object, next.object)) {
      this.#objects.set(key, { object: before.object, managers: next.managers })
      return before.object
    }
    this.#version += 1
    const object = frozen(withVersion(next.object, this.#version))
    this.#objects.set(key, { object, managers: next.managers })
    this.#history.record({ collection: collectionOf(object), version: this.#version, before: before?.object, after: object })
    this.#collectGarbage()
    return object
  }

  #forget(stored: Stored): void {
    this.#version += 1
    this.#objects.delete(keyOf(refOf(stored.object)))
    this.#history.record({ collection: collectionOf(stored.object), version: this.#version, before: stored.object, after: undefined })
    this.#collectGarbage()
  }

  /** The real garbage collector comes a moment later; here it is over before the next caller looks. */
  #collectGarbage(): void {
    const orphan = garbage([...this.#objects.values()].map((stored) => stored.object))
    const stored = orphan === undefined ? undefined : this.#objects.get(keyOf(refOf(orphan)))
    if (stored !== undefined) this.#forget(stored)
  }
}

const nothing: Managed = { object: {}, managers: new Map() }

function collectionOf(kind: Kind): string {
  return `${kind.apiVersion}/${resourceOf(kind).plural}`
}

function keyOf(ref: ObjectRef): string {
  return `${collectionOf(ref)}/${ref.namespace}/${ref.name}`
}

function refOf(object: KubeObject): ObjectRef {
  const { apiVersion, kind, metadata } = object
  return { apiVersion, kind, namespace: metadata.namespace ?? '', name: metadata.name }
}

function withoutStatus(object: KubeObject): JsonObject {
  const { status: _status, ...rest } = object
  return rest
}

function moved(object: KubeObject): { readonly code: 'conflict'; readonly message: string } {
  return { code: 'conflict', message: `${resourceOf(object).plural} "${object.metadata.name}" has been modified` }
}

/** A caller that writes into what it was given would change the server's own state: that is a bug, and it throws. */
function frozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) frozen(part)
  }
  return value
}
