// What the API server does to every object that is written, for the in-memory twin: identity, generation, the separate status, what may never change. PURE.
import { fail, ok } from '../../runtime/result.ts'
import { isJsonObject, jsonEqual, objectAt } from './json-object.ts'
import type { JsonObject } from './json-object.ts'
import type { KubeObject, KubeProblem, KubeResult, ObjectRef } from './kube.ts'
import { resourceOf } from './resource-path.ts'

/** What the twin stamps on a write. */
export interface Stamp {
  readonly version: number
  readonly now: Date
  readonly uid: string
}

/** RFC 1123 subdomain, as for nearly every kind. */
const nameForm = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const nameLengthMax = 253

/** Refuses what the API server refuses of any object. */
export function checkWritten(object: KubeObject): KubeProblem | undefined {
  const { name, namespace } = object.metadata
  if (typeof name !== 'string' || name.length > nameLengthMax || !nameForm.test(name))
    return invalid(`metadata.name: Invalid value: "${name}"`)
  if (namespace === undefined || !nameForm.test(namespace)) return invalid(`metadata.namespace: Invalid value: "${namespace}"`)
  if ('stringData' in object) return invalid('stringData: the in-memory API server takes data only')
  return undefined
}

/** Server-side apply refuses what only the server may say. */
export function checkApplied(object: KubeObject): KubeProblem | undefined {
  const metadata = objectAt(object, 'metadata')
  for (const field of ['uid', 'resourceVersion', 'managedFields'])
    if (metadata[field] !== undefined) return invalid(`metadata.${field} must be absent in an apply`)
  return checkWritten(object)
}

/** A new object: fresh identity, generation 1, and a status only as the server begins it. */
export function born(object: KubeObject, stamp: Stamp): KubeObject {
  const resource = resourceOf(object)
  const { status, ...rest } = withoutEmpty(object)
  const begun = resource.statusSubresource ? firstStatus(object.kind) : status
  return {
    ...rest,
    metadata: {
      ...withoutServerFields(object.metadata),
      uid: stamp.uid,
      resourceVersion: String(stamp.version),
      creationTimestamp: rfc3339(stamp.now),
      ...(resource.countsGenerations ? { generation: 1 } : {}),
    },
    ...(begun === undefined ? {} : { status: begun }),
  } as KubeObject
}

/** `next` as the successor of `before` through the main resource: the status and everything that the server says stay. */
export function succeeded(before: KubeObject, written: KubeObject): KubeResult<KubeObject> {
  const resource = resourceOf(before)
  const next = withoutEmpty(written)
  const changed = forbiddenChange(before, next)
  if (changed !== undefined) return fail(invalid(changed))
  const { status, ...rest } = next
  const kept = resource.statusSubresource ? before['status'] : status
  const generation = specChanged(before, next) ? (before.metadata.generation ?? 0) + 1 : before.metadata.generation
  return ok({
    ...rest,
    metadata: {
      ...withoutServerFields(next.metadata),
      ...serverFields(before),
      ...(resource.countsGenerations ? { generation } : {}),
    },
    ...(kept === undefined ? {} : { status: kept }),
  } as KubeObject)
}

/** `before` with the status of `next`, and nothing else of it. */
export function withStatus(before: KubeObject, next: JsonObject): KubeObject {
  const { status: _status, ...rest } = before
  return next['status'] === undefined ? rest : { ...rest, status: next['status'] }
}

export function withVersion(object: KubeObject, version: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
}

/** Whether two states of an object are the same but for their resource version: then nothing is written and nobody is told. */
export function sameObject(left: KubeObject, right: KubeObject): boolean {
  return jsonEqual(withVersion(left, 0), withVersion(right, 0))
}

export function rfc3339(instant: Date): string {
  return instant.toISOString().replace(/\.\d{3}Z$/u, 'Z')
}

export function notFound(ref: ObjectRef): KubeProblem {
  return { code: 'not_found', message: `${resourceOf(ref).plural} "${ref.name}" not found` }
}

export function invalid(message: string): KubeProblem {
  return { code: 'invalid', message }
}

/** Kinds whose stored form is that of a Go struct with `omitempty`; of a CRD's objects nothing is dropped, and of the other kinds nobody has asked yet. */
const droppingKinds = new Set(['NetworkPolicy', 'StatefulSet'])
/** Maps that are dropped when they are empty. A selector is a struct: empty, it selects everything, and stays. */
const droppedMaps = new Set(['matchLabels', 'nodeSelector', 'labels', 'annotations', 'requests', 'limits'])

function withoutEmpty(object: KubeObject): KubeObject {
  return droppingKinds.has(object.kind) ? (filled(object) as KubeObject) : object
}

function filled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(filled)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).flatMap(([field, part]) => (isDropped(field, part) ? [] : [[field, filled(part)]])))
}

function isDropped(field: string, part: unknown): boolean {
  return Array.isArray(part) ? part.length === 0 : isJsonObject(part) && Object.keys(part).length === 0 && droppedMaps.has(field)
}

function firstStatus(kind: string): JsonObject | undefined {
  return kind === 'Pod' || kind === 'PersistentVolumeClaim' ? { phase: 'Pending' } : undefined
}

function specChanged(before: KubeObject, next: KubeObject): boolean {
  return !jsonEqual(before['spec'], next['spec'])
}

const serverOwned = ['uid', 'resourceVersion', 'creationTimestamp', 'deletionTimestamp', 'generation', 'managedFields', 'selfLink'] as const

function withoutServerFields(metadata: KubeObject['metadata']): JsonObject {
  return Object.fromEntries(Object.entries(metadata).filter(([field]) => !serverOwned.some((owned) => owned === field)))
}

function serverFields(object: KubeObject): JsonObject {
  return Object.fromEntries(Object.entries(object.metadata).filter(([field]) => serverOwned.some((owned) => owned === field)))
}

/** kubernetes.io/docs/concepts/workloads/controllers/statefulset: only these fields of a StatefulSet's spec may change. */
const statefulSetMutable = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
  'revisionHistoryLimit',
])

function forbiddenChange(before: KubeObject, next: KubeObject): string | undefined {
  if (before.kind !== 'StatefulSet' || !isJsonObject(next['spec'])) return undefined
  const old = objectAt(before, 'spec')
  const fresh = next['spec']
  const names = new Set([...Object.keys(old), ...Object.keys(fresh)])
  const changed = [...names].find((name) => !statefulSetMutable.has(name) && !jsonEqual(old[name], fresh[name]))
  return changed === undefined ? undefined : `spec.${changed}: Forbidden: updates to statefulset spec for this field are forbidden`
}
