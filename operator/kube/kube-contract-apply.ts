import assert from 'node:assert/strict'
import { isJsonObject, listAt, objectAt } from './json-object.ts'
import type { ContractCase } from './kube-contract.ts'
import { budget, must, pod, podKind, refTo, refused, secret, statefulSet } from './kube-contract-objects.ts'
import type { KubeObject } from './kube.ts'

function environment(object: KubeObject): readonly string[] {
  const [container] = listAt(objectAt(objectAt(objectAt(object, 'spec'), 'template'), 'spec'), 'containers')
  return listAt(container, 'env').map((item) => (isJsonObject(item) ? `${String(item['name'])}=${String(item['value'])}` : ''))
}

function labels(object: KubeObject): Readonly<Record<string, string>> {
  return object.metadata.labels ?? {}
}

function condition(type: string): object {
  return { type, status: 'True', reason: 'Tried', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }
}

export const contractOfApply: readonly ContractCase[] = [
  {
    title: 'an apply creates what is not there and updates what is',
    async run({ kube, namespace }) {
      const first = must(await kube.apply(secret({ namespace, name: 'applied' }, { word: 'one' }), 'contract'))
      const second = must(await kube.apply(secret({ namespace, name: 'applied' }, { word: 'two' }), 'contract'))
      assert.equal(second.metadata.uid, first.metadata.uid)
      assert.deepEqual(objectAt(second, 'data'), { word: Buffer.from('two').toString('base64') })
      assert.ok(Number(second.metadata.resourceVersion) > Number(first.metadata.resourceVersion))
    },
  },
  {
    title: 'an apply that changes nothing does not move the resource version',
    async run({ kube, namespace, eventually }) {
      const wanted = statefulSet({ namespace, name: 'unmoved' }, [{ name: 'A', value: '1' }])
      must(await kube.apply(wanted, 'contract'))
      // A real StatefulSet controller writes the status at its own time: between two applies in a row it may, again and again it does not.
      await eventually(async () => {
        const first = must(await kube.apply(wanted, 'contract'))
        const second = must(await kube.apply(wanted, 'contract'))
        assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion)
        assert.equal(second.metadata.generation, 1)
      })
    },
  },
  {
    title: 'an apply keeps the fields of other managers',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'shared' }
      must(await kube.apply(secret(place, { ours: '1' }, { labels: { ours: 'yes' } }), 'contract'))
      must(await kube.apply(secret(place, { theirs: '2' }, { labels: { theirs: 'yes' } }), 'somebody-else'))
      const last = must(await kube.apply(secret(place, { ours: '3' }, { labels: { ours: 'yes' } }), 'contract'))
      assert.deepEqual(Object.keys(objectAt(last, 'data')).sort(), ['ours', 'theirs'])
      assert.deepEqual(labels(last), { ours: 'yes', theirs: 'yes' })
    },
  },
  {
    title: 'an apply removes what its manager owned and no longer names, and nothing else',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'dropping' }
      must(await kube.apply(secret(place, { kept: '1', dropped: '2' }, { labels: { dropped: 'yes' } }), 'contract'))
      must(await kube.apply(secret(place, { theirs: '3' }), 'somebody-else'))
      const last = must(await kube.apply(secret(place, { kept: '1' }), 'contract'))
      assert.deepEqual(Object.keys(objectAt(last, 'data')).sort(), ['kept', 'theirs'])
      assert.deepEqual(labels(last), {})
    },
  },
  {
    title: 'a field that two managers apply alike stays until both have dropped it',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'co-owned' }
      must(await kube.apply(secret(place, { both: '1', a: '1' }), 'contract'))
      must(await kube.apply(secret(place, { both: '1', b: '1' }), 'somebody-else'))
      const once = must(await kube.apply(secret(place, { a: '1' }), 'contract'))
      assert.ok('both' in objectAt(once, 'data'))
      const twice = must(await kube.apply(secret(place, { b: '1' }), 'somebody-else'))
      assert.deepEqual(Object.keys(objectAt(twice, 'data')).sort(), ['a', 'b'])
    },
  },
  {
    title: 'a forced apply takes a field over: its former owner dropping it no longer removes it',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'taken' }
      must(await kube.apply(secret(place, { word: 'theirs', other: '1' }), 'somebody-else'))
      must(await kube.apply(secret(place, { word: 'ours' }), 'contract'))
      const last = must(await kube.apply(secret(place, { other: '1' }), 'somebody-else'))
      assert.deepEqual(objectAt(last, 'data')['word'], Buffer.from('ours').toString('base64'))
    },
  },
  {
    title: 'an apply takes back what a replace has changed',
    async run({ kube, namespace, eventually }) {
      const place = { namespace, name: 'tampered' }
      // A real controller writes the budget's status at its own time, and then the replace is a conflict.
      await eventually(async () => {
        const first = must(await kube.apply(budget(place, 1), 'contract'))
        const spec = { ...objectAt(first, 'spec'), maxUnavailable: 3 }
        must(await kube.replace({ ...first, spec }))
      })
      const last = must(await kube.apply(budget(place, 1), 'contract'))
      assert.equal(objectAt(last, 'spec')['maxUnavailable'], 1)
    },
  },
  {
    title: 'lists with keys are merged item by item, and a dropped item goes',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'keyed' }
      const ours = [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ]
      must(await kube.apply(statefulSet(place, ours), 'contract'))
      must(await kube.apply(statefulSet(place, [{ name: 'C', value: '3' }]), 'somebody-else'))
      const last = must(await kube.apply(statefulSet(place, [{ name: 'A', value: '4' }]), 'contract'))
      assert.deepEqual([...environment(last)].sort(), ['A=4', 'C=3'])
    },
  },
  {
    title: 'generation counts changes of spec, not of labels',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'counted' }
      const first = must(await kube.apply(budget(place, 1), 'contract'))
      assert.equal(first.metadata.generation, 1)
      const labelled = must(await kube.apply({ ...budget(place, 1), metadata: { ...place, labels: { a: 'b' } } }, 'contract'))
      assert.equal(labelled.metadata.generation, 1)
      assert.equal(must(await kube.apply(budget(place, 2), 'contract')).metadata.generation, 2)
    },
  },
  {
    title: 'applyStatus changes status alone: neither spec nor generation',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'observed' }
      const first = must(await kube.apply(statefulSet(place, []), 'contract'))
      const wanted = { ...statefulSet(place, []), spec: { replicas: 7 }, status: { replicas: 0, observedGeneration: 1 } }
      const second = must(await kube.applyStatus({ ...wanted, metadata: { ...place, labels: { no: 'no' } } }, 'contract'))
      assert.equal(second.metadata.generation, first.metadata.generation)
      assert.equal(objectAt(second, 'spec')['replicas'], 0)
      assert.deepEqual(labels(second), {})
    },
  },
  {
    title: 'applyStatus with a uid is for that very object: not for another one that has its name by now',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'namesake' }
      const former = must(await kube.create(pod(place)))
      must(await kube.remove(refTo(former), {}))
      const present = must(await kube.create(pod(place)))
      const status = { phase: 'Running', podIP: '127.0.0.9' }
      const identity = (uid: string | undefined): KubeObject['metadata'] => ({ ...place, ...(uid === undefined ? {} : { uid }) })
      refused(await kube.applyStatus({ ...podKind, metadata: identity(former.metadata.uid), status }, 'kubelet'), 'invalid')
      assert.equal(objectAt(must(await kube.get(refTo(present))), 'status')['podIP'], undefined)
      const written = must(await kube.applyStatus({ ...podKind, metadata: identity(present.metadata.uid), status }, 'kubelet'))
      assert.equal(objectAt(written, 'status')['podIP'], '127.0.0.9')
    },
  },
  {
    title: 'an apply to the object does not touch its status',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'unobserved' }
      must(await kube.apply(budget(place, 1), 'contract'))
      must(await kube.applyStatus({ ...budget(place, 1), status: { conditions: [condition('Contract')] } }, 'status-writer'))
      const last = must(await kube.apply({ ...budget(place, 2), status: {} }, 'contract'))
      assert.ok(listAt(last['status'], 'conditions').some((item) => isJsonObject(item) && item['type'] === 'Contract'))
    },
  },
  {
    title: 'conditions are merged by type: each writer of a status keeps to its own',
    async run({ kube, namespace }) {
      const place = { namespace, name: 'conditions' }
      const withConditions = (...types: string[]): KubeObject => ({ ...budget(place, 1), status: { conditions: types.map(condition) } })
      must(await kube.apply(budget(place, 1), 'contract'))
      must(await kube.applyStatus(withConditions('A', 'B'), 'contract'))
      must(await kube.applyStatus(withConditions('C'), 'somebody-else'))
      const last = must(await kube.applyStatus(withConditions('B'), 'contract'))
      const types = listAt(last['status'], 'conditions').map((item) => (isJsonObject(item) ? item['type'] : undefined))
      assert.ok(types.includes('B') && types.includes('C') && !types.includes('A'), JSON.stringify(types))
    },
  },
  {
    title: 'empty lists and maps of a policy and of a StatefulSet are not stored, but an empty selector is, since it says "all"',
    async run({ kube, namespace, eventually }) {
      const everybody = { podSelector: { matchLabels: {}, matchExpressions: [] } }
      const exists = { namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: [] }] } }
      const network = { ipBlock: { cidr: '10.0.0.0/8', except: [] } }
      const rule = { from: [everybody, exists, network, { podSelector: {} }], ports: [] }
      const spec = { podSelector: { matchLabels: {} }, policyTypes: ['Ingress'], ingress: [rule, {}], egress: [] }
      const wanted = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace, name: 'hollow' }, spec }
      const policy = must(await kube.apply(wanted, 'contract'))
      const [first] = listAt(policy['spec'], 'ingress')
      assert.deepEqual(listAt(first, 'from'), [
        { podSelector: {} },
        { namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] } },
        { ipBlock: { cidr: '10.0.0.0/8' } },
        { podSelector: {} },
      ])
      assert.deepEqual(policy['spec'], { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ from: listAt(first, 'from') }, {}] })
      const hollow = statefulSet({ namespace, name: 'hollow' }, [])
      const container = { name: 'node', image: 'securesql-node:test', resources: { requests: {}, limits: {} } }
      const template = { ...objectAt(objectAt(hollow, 'spec'), 'template'), spec: { containers: [container], nodeSelector: {} } }
      must(await kube.apply({ ...hollow, spec: { ...objectAt(hollow, 'spec'), template } }, 'contract'))
      await eventually(async () => {
        const stored = must(await kube.get(refTo(hollow)))
        const podSpec = objectAt(objectAt(objectAt(stored, 'spec'), 'template'), 'spec')
        assert.equal('nodeSelector' in podSpec, false)
        const [read] = listAt(podSpec, 'containers')
        assert.deepEqual(objectAt(read, 'resources'), {})
      })
    },
  },
  {
    title: 'a StatefulSet refuses a change of its selector',
    async run({ kube, namespace, eventually }) {
      const place = { namespace, name: 'fixed' }
      const first = must(await kube.apply(statefulSet(place, []), 'contract'))
      const template = { metadata: { labels: { app: 'other' } }, spec: objectAt(objectAt(objectAt(first, 'spec'), 'template'), 'spec') }
      const spec = { ...objectAt(first, 'spec'), selector: { matchLabels: { app: 'other' } }, template }
      // A real controller writes the status at its own time, and then the first try is a conflict.
      await eventually(async () => {
        const current = must(await kube.get(refTo(first)))
        refused(await kube.replace({ ...current, spec }), 'invalid')
      })
      assert.deepEqual(must(await kube.get(refTo(first)))['spec'], first['spec'])
    },
  },
]
