import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '../controller/manual-clock.ts'
import { numberAt, objectAt, textAt } from '../kube/json-object.ts'
import { must, statefulSetKind } from '../kube/kube-contract-objects.ts'
import type { KubeObject } from '../kube/kube.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import { startStatefulSetController } from './stateful-set-controller.ts'

const podKind = { apiVersion: 'v1', kind: 'Pod' }

function setOf(replicas: number, image = 'node:1'): KubeObject {
  const labels = { app: 'orders' }
  return {
    ...statefulSetKind,
    metadata: { namespace: 'shop', name: 'orders' },
    spec: {
      replicas,
      serviceName: 'orders-nodes',
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'node', image }] } },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
    },
  }
}

interface World {
  readonly kube: MemoryKube
  readonly apply: (set: KubeObject) => Promise<void>
  readonly settle: () => Promise<void>
  readonly pods: () => Promise<readonly KubeObject[]>
  readonly status: () => Promise<unknown>
  readonly close: () => Promise<void>
}

function world(): World {
  const clock = new ManualClock()
  let made = 0
  const kube = new MemoryKube({ now: () => new Date(clock.wallMs()), newUid: () => `uid-${(made += 1)}` })
  const controller = startStatefulSetController({ kube, clock, random: () => 0, log: pino({ enabled: false }) })
  const settle = (): Promise<void> => clock.advance(1)
  return {
    kube,
    settle,
    apply: async (set) => {
      must(await kube.apply(set, 'test'))
      await settle()
    },
    pods: async () => must(await kube.list(podKind, { namespace: 'shop' })).items,
    status: async () => must(await kube.get({ ...statefulSetKind, namespace: 'shop', name: 'orders' }))['status'],
    close: () => controller.close(),
  }
}

function namesOf(objects: readonly KubeObject[]): readonly string[] {
  return objects.map((object) => object.metadata.name)
}

async function makeReady(own: World, name: string): Promise<void> {
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
  must(await own.kube.applyStatus({ ...podKind, metadata: { namespace: 'shop', name }, status }, 'kubelet'))
  await own.settle()
}

test('all pods are made at once, named by ordinal, with their claims, labels and host name', async () => {
  const own = world()
  await own.apply(setOf(3))
  const pods = await own.pods()
  assert.deepEqual(namesOf(pods), ['orders-0', 'orders-1', 'orders-2'])
  const [pod] = pods
  assert.equal(pod?.metadata.labels?.['statefulset.kubernetes.io/pod-name'], 'orders-0')
  assert.equal(pod.metadata.labels['app'], 'orders')
  assert.equal(textAt(pod['spec'], 'hostname'), 'orders-0')
  assert.equal(textAt(pod['spec'], 'subdomain'), 'orders-nodes')
  assert.deepEqual(objectAt(pod, 'spec')['volumes'], [{ name: 'data', persistentVolumeClaim: { claimName: 'data-orders-0' } }])
  const claims = must(await own.kube.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, { namespace: 'shop' })).items
  assert.deepEqual(namesOf(claims), ['data-orders-0', 'data-orders-1', 'data-orders-2'])
  await own.close()
})

test('the status counts pods and ready pods', async () => {
  const own = world()
  await own.apply(setOf(3))
  assert.deepEqual([numberAt(await own.status(), 'replicas'), numberAt(await own.status(), 'readyReplicas')], [3, 0])
  await makeReady(own, 'orders-1')
  assert.equal(numberAt(await own.status(), 'readyReplicas'), 1)
  await own.close()
})

test('a deleted pod is made anew with the claim that it had', async () => {
  const own = world()
  await own.apply(setOf(1))
  const [before] = await own.pods()
  const [claim] = must(await own.kube.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, {})).items
  must(await own.kube.remove({ ...podKind, namespace: 'shop', name: 'orders-0' }, {}))
  await own.settle()
  const [after] = await own.pods()
  assert.ok(after !== undefined && after.metadata.uid !== before?.metadata.uid)
  assert.deepEqual(must(await own.kube.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, {})).items, [claim])
  await own.close()
})

test('a changed template leaves running pods alone until somebody deletes them (OnDelete)', async () => {
  const own = world()
  await own.apply(setOf(2))
  const before = await own.pods()
  await own.apply(setOf(2, 'node:2'))
  assert.deepEqual(await own.pods(), before)
  assert.equal(numberAt(await own.status(), 'updatedReplicas'), 0)
  assert.notEqual(textAt(await own.status(), 'currentRevision'), textAt(await own.status(), 'updateRevision'))
  for (const name of ['orders-0', 'orders-1']) {
    must(await own.kube.remove({ ...podKind, namespace: 'shop', name }, {}))
    await own.settle()
  }
  assert.equal(numberAt(await own.status(), 'updatedReplicas'), 2)
  assert.equal(textAt(await own.status(), 'currentRevision'), textAt(await own.status(), 'updateRevision'))
  await own.close()
})

test('fewer replicas remove the highest ordinals and keep their claims', async () => {
  const own = world()
  await own.apply(setOf(3))
  await own.apply(setOf(1))
  assert.deepEqual(namesOf(await own.pods()), ['orders-0'])
  assert.equal(must(await own.kube.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, {})).items.length, 3)
  await own.close()
})

test('a pod of another owner with a fitting name is not taken over', async () => {
  const own = world()
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Secret', name: 'x', uid: 'uid-1', controller: true }]
  must(await own.kube.create({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'shop', name: 'x' } }))
  must(await own.kube.create({ ...podKind, metadata: { namespace: 'shop', name: 'orders-0', ownerReferences }, spec: {} }))
  await own.apply(setOf(1))
  assert.deepEqual((await own.pods())[0]?.metadata.ownerReferences, ownerReferences)
  assert.equal(numberAt(await own.status(), 'replicas'), 0)
  await own.close()
})
