// Objects and small checks that the cases of the kube contract share. Only kinds that a real API server accepts without other objects being there.
import assert from 'node:assert/strict'
import type { JsonObject } from './json-object.ts'
import type { Kind, KubeObject, KubeProblem, KubeResult, ObjectRef } from './kube.ts'

export const secretKind: Kind = { apiVersion: 'v1', kind: 'Secret' }
export const podKind: Kind = { apiVersion: 'v1', kind: 'Pod' }
export const statefulSetKind: Kind = { apiVersion: 'apps/v1', kind: 'StatefulSet' }
export const budgetKind: Kind = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' }
export const leaseKind: Kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }

export interface Place {
  readonly namespace: string
  readonly name: string
}

/** `data` in clear; a Secret carries base64. */
export function secret(place: Place, data: Readonly<Record<string, string>>, metadata: JsonObject = {}): KubeObject {
  const encoded = Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value).toString('base64')]))
  return { ...secretKind, metadata: { ...place, ...metadata }, type: 'Opaque', data: encoded }
}

export function lease(place: Place, holderIdentity: string): KubeObject {
  return { ...leaseKind, metadata: place, spec: { holderIdentity, leaseDurationSeconds: 15 } }
}

export function budget(place: Place, maxUnavailable: number): KubeObject {
  return { ...budgetKind, metadata: place, spec: { maxUnavailable, selector: { matchLabels: { app: place.name } } } }
}

/** A StatefulSet of no pods, so that nothing else happens to it; `env` is merged by name. */
export function statefulSet(place: Place, env: readonly { readonly name: string; readonly value: string }[]): KubeObject {
  const labels = { app: place.name }
  const container = { name: 'node', image: 'securesql-node:test', env }
  return {
    ...statefulSetKind,
    metadata: place,
    spec: {
      replicas: 0,
      serviceName: place.name,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  }
}

export function pod(place: Place): KubeObject {
  return { ...podKind, metadata: place, spec: { containers: [{ name: 'node', image: 'securesql-node:test' }] } }
}

export function refTo(object: KubeObject): ObjectRef {
  const { apiVersion, kind, metadata } = object
  return { apiVersion, kind, namespace: metadata.namespace ?? '', name: metadata.name }
}

export function must<Value>(result: KubeResult<Value>): Value {
  assert(result.ok, result.ok ? '' : `${result.problem.code}: ${result.problem.message}`)
  return result.value
}

export function refused(result: KubeResult<unknown>, code: KubeProblem['code']): void {
  assert.equal(result.ok, false, `expected ${code}, but it was accepted`)
  if (!result.ok) assert.equal(result.problem.code, code, result.problem.message)
}
