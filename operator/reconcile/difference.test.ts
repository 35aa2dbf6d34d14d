import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DesiredObject } from '../desired/desired-object.ts'
import type { KubeObject } from '../kube/kube.ts'
import { appliedAnnotation, difference, stamped } from './difference.ts'

const service: DesiredObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'orders', namespace: 'shop', labels: { a: 'b' }, ownerReferences: [] },
  spec: { selector: { app: 'x' }, ports: [{ port: 4001, protocol: 'TCP' }], resources: { requests: { storage: '1024Mi' } } },
}
const wanted = stamped(service)
interface Copy {
  metadata: { labels: Record<string, string> }
  spec: {
    clusterIP?: string
    selector: Record<string, string>
    ports?: Record<string, unknown>[]
    resources: { requests: { storage: string } }
  }
  status?: unknown
}
const seen = (change: (copy: Copy) => void): KubeObject => {
  const copy = structuredClone(wanted) as unknown as Copy
  change(copy)
  return copy as unknown as KubeObject
}

const secretDigest = (password: string) =>
  stamped({ ...service, kind: 'Secret', data: { password } }).metadata.annotations?.[appliedAnnotation]

const unchanged: Readonly<Record<string, (copy: Copy) => void>> = {
  'nothing at all': () => {},
  'a default that the API server adds': (copy) => (copy.spec.clusterIP = '10.0.0.1'),
  'a default inside of a list item': (copy) => (copy.spec.ports![0]!['targetPort'] = 4001),
  'a status': (copy) => (copy.status = { loadBalancer: {} }),
  "a label of somebody else's": (copy) => (copy.metadata.labels['team'] = 'x'),
  'a quantity in another spelling': (copy) => (copy.spec.resources.requests.storage = '1Gi'),
}
for (const [title, change] of Object.entries(unchanged)) {
  test(`no difference: ${title}`, () => assert.equal(difference(wanted, seen(change)), undefined))
}

const changed: Readonly<Record<string, readonly [(copy: Copy) => void, string]>> = {
  'a value': [(copy) => (copy.spec.ports![0]!['port'] = 1), 'spec.ports[0].port'],
  'a field that is gone': [(copy) => delete copy.spec.ports, 'spec.ports'],
  'one more item in a list': [(copy) => copy.spec.ports!.push({ port: 1 }), 'spec.ports'],
  'one more label in a selector, which would select fewer pods': [(copy) => (copy.spec.selector['more'] = 'x'), 'spec.selector'],
  'a label of ours': [(copy) => (copy.metadata.labels['a'] = 'c'), 'metadata.labels.a'],
  'another quantity': [(copy) => (copy.spec.resources.requests.storage = '1G'), 'spec.resources.requests'],
}
for (const [title, [change, place]] of Object.entries(changed)) {
  test(`a difference: ${title}`, () => assert.equal(difference(wanted, seen(change)), place))
}

test('a field that we said before and no longer say is a difference, by the digest', () => {
  const before = stamped({ ...service, spec: { ...(service['spec'] as object), sessionAffinity: 'None' } })
  assert.equal(difference(wanted, before as unknown as KubeObject), `metadata.annotations.${appliedAnnotation}`)
})

test('a policy must be equal as a whole: a rule that somebody adds is not a default of the API server', () => {
  const policy = stamped({ ...service, kind: 'NetworkPolicy', spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } })
  const opened = { ...policy, spec: { ...(policy['spec'] as object), ingress: [{}] } } as unknown as KubeObject
  assert.equal(difference(policy, opened), 'spec')
})

test('the digest of a Secret does not depend on its values', () => {
  assert.equal(secretDigest('a'), secretDigest('b'))
})
