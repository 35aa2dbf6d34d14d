// The little of Kubernetes' StatefulSet controller that makes Pods: Parallel and OnDelete, which is all that we ask of it. Pods are `NAME-ORDINAL`, each with the
// claims of its templates; a deleted or failed pod is made anew; what is above the number of replicas goes.
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Clock } from '../controller/clock.ts'
import { Controller } from '../controller/controller.ts'
import type { ClusterName } from '../controller/controller.ts'
import { isJsonObject, jsonEqual, listAt, numberAt, objectAt, textAt } from '../kube/json-object.ts'
import type { JsonObject } from '../kube/json-object.ts'
import type { Kube, KubeObject, KubeResult } from '../kube/kube.ts'

export interface StatefulSetControllerOptions {
  readonly kube: Kube
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
}

const fieldManager = 'stateful-set-controller'
const statefulSetKind = { apiVersion: 'apps/v1', kind: 'StatefulSet' }
const podKind = { apiVersion: 'v1', kind: 'Pod' }
const revisionLabel = 'controller-revision-hash'

/** The running controller; `close` ends it. */
export function startStatefulSetController(options: StatefulSetControllerOptions): Controller {
  const { kube, clock, random, log } = options
  return new Controller({
    kube,
    clock,
    random,
    log,
    watches: [
      { kind: statefulSetKind, clustersOf: ({ metadata }) => [{ namespace: metadata.namespace ?? '', name: metadata.name }] },
      { kind: podKind, clustersOf: ownersOf },
    ],
    reconcile: async (name) => {
      const found = await kube.get({ ...statefulSetKind, ...name })
      // When it is gone, the garbage collector ends its pods.
      if (found.ok && found.value.metadata.deletionTimestamp === undefined) await bringAbout(found.value, kube)
      return {}
    },
  })
}

async function bringAbout(set: KubeObject, kube: Kube): Promise<void> {
  const spec = objectAt(set, 'spec')
  const replicas = numberAt(spec, 'replicas') ?? 1
  const revision = `${set.metadata.name}-${createHash('sha256').update(JSON.stringify(spec['template'])).digest('hex').slice(0, 10)}`
  const pods = must(await kube.list(podKind, { namespace: set.metadata.namespace ?? '' })).items.filter((pod) => isOwnedBy(pod, set))
  const wanted = Array.from({ length: replicas }, (_unused, ordinal) => `${set.metadata.name}-${ordinal}`)
  for (const [ordinal, name] of wanted.entries()) {
    if (pods.some((pod) => pod.metadata.name === name)) continue
    for (const claim of claimsOf(set, name)) agreed(await kube.create(claim), 'already_exists')
    agreed(await kube.create(podOf(set, { name, ordinal, revision })), 'already_exists')
  }
  for (const pod of pods) {
    const phase = textAt(pod['status'], 'phase')
    const over = phase === 'Failed' || phase === 'Succeeded' || !wanted.includes(pod.metadata.name)
    if (over && pod.metadata.deletionTimestamp === undefined) {
      const ref = { ...podKind, namespace: pod.metadata.namespace ?? '', name: pod.metadata.name }
      agreed(await kube.remove(ref, { uid: pod.metadata.uid ?? '' }), 'not_found')
    }
  }
  await reportStatus(set, { pods, revision, replicas }, kube)
}

interface Seen {
  readonly pods: readonly KubeObject[]
  readonly revision: string
  readonly replicas: number
}

async function reportStatus(set: KubeObject, { pods, revision, replicas }: Seen, kube: Kube): Promise<void> {
  const before = objectAt(set, 'status')
  const ready = pods.filter(isReady).length
  const updated = pods.filter((pod) => pod.metadata.labels?.[revisionLabel] === revision).length
  const settled = updated === replicas && pods.length === replicas
  const current = settled ? revision : (textAt(before, 'currentRevision') ?? revision)
  const status = {
    observedGeneration: set.metadata.generation ?? 1,
    replicas: pods.length,
    readyReplicas: ready,
    availableReplicas: ready,
    currentReplicas: pods.filter((pod) => pod.metadata.labels?.[revisionLabel] === current).length,
    updatedReplicas: updated,
    currentRevision: current,
    updateRevision: revision,
  }
  if (jsonEqual(before, status)) return
  const { name, namespace } = set.metadata
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) }
  agreed(await kube.applyStatus({ ...statefulSetKind, metadata, status }, fieldManager), 'not_found')
}

function podOf(set: KubeObject, pod: { readonly name: string; readonly ordinal: number; readonly revision: string }): KubeObject {
  const spec = objectAt(set, 'spec')
  const template = objectAt(spec, 'template')
  const metadata = objectAt(template, 'metadata')
  const podSpec = objectAt(template, 'spec')
  const claims = listAt(spec, 'volumeClaimTemplates').map((claim) => {
    const volume = textAt(objectAt(claim, 'metadata'), 'name') ?? ''
    return { name: volume, persistentVolumeClaim: { claimName: `${volume}-${pod.name}` } }
  })
  const labels = {
    ...objectAt(metadata, 'labels'),
    'statefulset.kubernetes.io/pod-name': pod.name,
    'apps.kubernetes.io/pod-index': String(pod.ordinal),
    [revisionLabel]: pod.revision,
  }
  return asObject({
    ...podKind,
    metadata: {
      name: pod.name,
      namespace: set.metadata.namespace,
      labels,
      ...(metadata['annotations'] === undefined ? {} : { annotations: metadata['annotations'] }),
      ownerReferences: [ownerReference(set)],
    },
    spec: {
      ...podSpec,
      hostname: pod.name,
      subdomain: textAt(spec, 'serviceName') ?? '',
      volumes: [...listAt(podSpec, 'volumes'), ...claims],
    },
  })
}

function claimsOf(set: KubeObject, pod: string): readonly KubeObject[] {
  const spec = objectAt(set, 'spec')
  const deleted = textAt(objectAt(spec, 'persistentVolumeClaimRetentionPolicy'), 'whenDeleted') === 'Delete'
  return listAt(spec, 'volumeClaimTemplates')
    .filter(isJsonObject)
    .map((template) => {
      const { name, ...metadata } = objectAt(template, 'metadata')
      const labels = { ...objectAt(metadata, 'labels'), ...objectAt(objectAt(spec, 'selector'), 'matchLabels') }
      return asObject({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          ...metadata,
          name: `${String(name)}-${pod}`,
          namespace: set.metadata.namespace,
          labels,
          // The claim goes with the set only when the set says so.
          ...(deleted ? { ownerReferences: [ownerReference(set)] } : {}),
        },
        spec: template['spec'],
      })
    })
}

function ownerReference(set: KubeObject): JsonObject {
  const { name, uid = '' } = set.metadata
  return { ...statefulSetKind, name, uid, controller: true, blockOwnerDeletion: true }
}

function ownersOf({ metadata }: KubeObject): readonly ClusterName[] {
  const owners = (metadata.ownerReferences ?? []).filter((owner) => owner.kind === 'StatefulSet' && owner.controller === true)
  return owners.map((owner) => ({ namespace: metadata.namespace ?? '', name: owner.name }))
}

function isOwnedBy(pod: KubeObject, set: KubeObject): boolean {
  return (pod.metadata.ownerReferences ?? []).some((owner) => owner.uid === set.metadata.uid)
}

function isReady(pod: KubeObject): boolean {
  return listAt(pod['status'], 'conditions').some(
    (condition) => textAt(condition, 'type') === 'Ready' && textAt(condition, 'status') === 'True',
  )
}

/** Every part of these objects comes from an object that the API server has accepted. */
function asObject(object: JsonObject): KubeObject {
  return object as unknown as KubeObject
}

/** A failure of the API server makes this reconcile come back. */
function must<Value>(result: KubeResult<Value>): Value {
  if (!result.ok) throw new Error(`${result.problem.code}: ${result.problem.message}`)
  return result.value
}

/** As `must`, but that one refusal means that somebody was faster. */
function agreed(result: KubeResult<unknown>, refusal: 'already_exists' | 'not_found'): void {
  if (!result.ok && result.problem.code !== refusal) must(result)
}
