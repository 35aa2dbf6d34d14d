import assert from 'node:assert/strict'
import { objectAt, textAt } from './json-object.ts'
import type { ContractCase } from './kube-contract.ts'
import { budget, lease, leaseKind, must, pod, refTo, refused, secret, secretKind } from './kube-contract-objects.ts'

export const contractOfWrites: readonly ContractCase[] = [
  {
    title: 'a created object has an identity, and can be read',
    async run({ kube, namespace }) {
      const created = must(await kube.create(secret({ namespace, name: 'identity' }, { word: 'one' })))
      assert.ok(created.metadata.uid)
      assert.ok(created.metadata.resourceVersion)
      assert.ok(!Number.isNaN(Date.parse(created.metadata.creationTimestamp ?? '')))
      assert.deepEqual(must(await kube.get(refTo(created))), created)
    },
  },
  {
    title: 'creating what exists is refused with already_exists and changes nothing',
    async run({ kube, namespace }) {
      const first = must(await kube.create(secret({ namespace, name: 'twice' }, { word: 'one' })))
      refused(await kube.create(secret({ namespace, name: 'twice' }, { word: 'two' })), 'already_exists')
      assert.deepEqual(must(await kube.get(refTo(first))), first)
    },
  },
  {
    title: 'what does not exist is not_found for get, replace, applyStatus and remove',
    async run({ kube, namespace }) {
      const absent = budget({ namespace, name: 'absent' }, 1)
      refused(await kube.get(refTo(absent)), 'not_found')
      // Not of a Lease: for that kind alone among ours a real API server turns a PUT of what does not exist into a create.
      refused(await kube.replace(secret({ namespace, name: 'absent' }, {})), 'not_found')
      refused(await kube.applyStatus({ ...absent, status: { currentHealthy: 1 } }, 'contract'), 'not_found')
      refused(await kube.remove(refTo(absent), {}), 'not_found')
    },
  },
  {
    title: 'a name that is no DNS name is invalid',
    async run({ kube, namespace }) {
      refused(await kube.create(secret({ namespace, name: 'Not_A_Name' }, {})), 'invalid')
      refused(await kube.apply(secret({ namespace, name: 'Not_A_Name' }, {}), 'contract'), 'invalid')
    },
  },
  {
    title: 'a replace with a resource version that has moved is a conflict and changes nothing',
    async run({ kube, namespace }) {
      const first = must(await kube.create(lease({ namespace, name: 'contended' }, 'a')))
      const second = must(await kube.replace({ ...first, spec: { holderIdentity: 'b', leaseDurationSeconds: 15 } }))
      assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion)
      refused(await kube.replace({ ...first, spec: { holderIdentity: 'c', leaseDurationSeconds: 15 } }), 'conflict')
      assert.equal(textAt(objectAt(must(await kube.get(refTo(first))), 'spec'), 'holderIdentity'), 'b')
    },
  },
  {
    title: 'a replace removes the fields that it does not carry',
    async run({ kube, namespace }) {
      const first = must(await kube.create(secret({ namespace, name: 'shrinks' }, { a: '1', b: '2' })))
      const second = must(await kube.replace({ ...secret({ namespace, name: 'shrinks' }, { a: '1' }), metadata: first.metadata }))
      assert.deepEqual(second['data'], { a: Buffer.from('1').toString('base64') })
    },
  },
  {
    title: 'a list has the objects of one namespace and label, and a resource version',
    async run({ kube, namespace }) {
      const labels = { 'contract/case': 'list' }
      must(await kube.create(secret({ namespace, name: 'listed-a' }, {}, { labels })))
      must(await kube.create(secret({ namespace, name: 'listed-b' }, {}, { labels })))
      must(await kube.create(secret({ namespace, name: 'not-listed' }, {})))
      const list = must(await kube.list(secretKind, { namespace, labelSelector: 'contract/case=list' }))
      assert.deepEqual(
        list.items.map((item) => item.metadata.name),
        ['listed-a', 'listed-b'],
      )
      assert.ok(list.items.every((item) => item.kind === 'Secret' && item.apiVersion === 'v1'))
      assert.ok(Number(list.resourceVersion) > 0)
    },
  },
  {
    title: 'a list can be cut to one name, and reach over all namespaces',
    async run({ kube, namespace }) {
      must(await kube.create(lease({ namespace, name: 'only-me' }, 'a')))
      must(await kube.create(lease({ namespace, name: 'not-me' }, 'a')))
      const list = must(await kube.list(leaseKind, { fieldSelector: 'metadata.name=only-me' }))
      assert.deepEqual(
        list.items.map((item) => `${item.metadata.namespace}/${item.metadata.name}`),
        [`${namespace}/only-me`],
      )
    },
  },
  {
    title: 'a remove for another uid is a conflict, for the right one it deletes',
    async run({ kube, namespace }) {
      const created = must(await kube.create(secret({ namespace, name: 'this-very-one' }, {})))
      refused(await kube.remove(refTo(created), { uid: '00000000-0000-4000-8000-000000000000' }), 'conflict')
      must(await kube.get(refTo(created)))
      must(await kube.remove(refTo(created), { uid: created.metadata.uid ?? '' }))
      refused(await kube.get(refTo(created)), 'not_found')
    },
  },
  {
    title: 'an object with a finalizer stays, marked as deleted, until the finalizer is gone',
    async run({ kube, namespace }) {
      const metadata = { finalizers: ['securesql.dev/contract'] }
      const created = must(await kube.create(secret({ namespace, name: 'finalized' }, {}, metadata)))
      must(await kube.remove(refTo(created), {}))
      const marked = must(await kube.get(refTo(created)))
      assert.ok(marked.metadata.deletionTimestamp)
      must(await kube.replace({ ...marked, metadata: { ...marked.metadata, finalizers: [] } }))
      refused(await kube.get(refTo(created)), 'not_found')
    },
  },
  {
    title: 'objects are garbage once their owner is deleted, and only those',
    async run({ kube, namespace, eventually }) {
      const owner = must(await kube.create(secret({ namespace, name: 'owner' }, {})))
      const ownerReferences = [{ apiVersion: 'v1', kind: 'Secret', name: 'owner', uid: owner.metadata.uid ?? '', controller: true }]
      const owned = must(await kube.create(secret({ namespace, name: 'owned' }, {}, { ownerReferences })))
      const free = must(await kube.create(secret({ namespace, name: 'free' }, {})))
      must(await kube.remove(refTo(owner), {}))
      await eventually(async () => refused(await kube.get(refTo(owned)), 'not_found'))
      must(await kube.get(refTo(free)))
    },
  },
  {
    title: 'a new pod is pending, and its status is written through the status subresource alone',
    async run({ kube, namespace }) {
      const created = must(await kube.create({ ...pod({ namespace, name: 'played' }), status: { phase: 'Running' } }))
      assert.equal(textAt(created['status'], 'phase'), 'Pending')
      const status = { phase: 'Running', podIP: '127.0.0.9', conditions: [{ type: 'Ready', status: 'True' }] }
      const running = must(await kube.applyStatus({ ...pod({ namespace, name: 'played' }), status }, 'kubelet'))
      assert.equal(textAt(running['status'], 'phase'), 'Running')
      assert.equal(textAt(running['status'], 'podIP'), '127.0.0.9')
      assert.equal(running.metadata.generation, created.metadata.generation)
    },
  },
]
