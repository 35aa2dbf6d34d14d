import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { suiteControlPlane } from './suite-control-plane.ts'

const root = join(import.meta.dirname, '..', '..')
const crdFile = join(root, 'crds', 'securesqlclusters.securesql.dev.yaml')
const crdName = 'crd/securesqlclusters.securesql.dev'
const namespace = 'crd-suite'
const controlPlane = suiteControlPlane()
const { admin } = controlPlane

interface Condition {
  readonly type: string
  readonly status: string
  readonly message: string
}

before(async () => {
  await controlPlane.newNamespace(namespace)
  await admin.run(['apply', '--server-side', '--filename', crdFile])
  await admin.run(['wait', '--for=condition=Established', crdName, '--timeout=240s'])
})

after(async () => {
  await admin.run(['delete', 'namespace', namespace, '--wait=false'])
})

test('the CRD is established and structural', async () => {
  const { status } = JSON.parse(await admin.run(['get', crdName, '--output=json'])) as { status: { conditions: Condition[] } }
  const byType = new Map(status.conditions.map((condition) => [condition.type, condition]))
  assert.equal(byType.get('Established')?.status, 'True')
  assert.equal(byType.get('NamesAccepted')?.status, 'True')
  assert.equal(byType.get('NonStructuralSchema'), undefined, JSON.stringify(status.conditions))
})

test('the CRD is small enough for a client-side apply, whose annotation holds it as a whole', () => {
  assert.ok(readFileSync(crdFile).length < 150_000)
})

test('the short name ssc is served and the columns are those that a person asks for', async () => {
  await admin.run(['apply', '--server-side', '--filename=-'], cluster('listed', {}))
  const table = await admin.run(['get', 'ssc', '--namespace', namespace])
  assert.match(table, /^NAME\s+READY\s+REPLICAS\s+LEADER\s+AGE\nlisted\s+3\s/)
})

test('absent fields get their defaults from the CRD, not from the operator', async () => {
  const applied = await admin.run(['apply', '--server-side', '--dry-run=server', '--output=json', '--filename=-'], cluster('defaults', {}))
  const { spec } = JSON.parse(applied) as { spec: { replicas: number; deletionPolicy: string } }
  assert.equal(spec.replicas, 3)
  assert.equal(spec.deletionPolicy, 'Retain')
})

test('the example of the README is accepted by strict validation', async () => {
  const args = ['apply', '--server-side', '--validate=strict', '--dry-run=server', '--namespace', namespace, '--filename']
  assert.match(await admin.run([...args, join(root, 'examples', 'three-nodes.yaml')]), /orders serverside-applied/)
})

const user = { name: 'app', permissions: ['query'] }
const refusals: readonly { readonly what: string; readonly spec: object; readonly message: RegExp }[] = [
  { what: 'two replicas', spec: { replicas: 2 }, message: /spec\.replicas: Invalid value: .*replicas must be odd and at least 1/ },
  { what: 'no replicas', spec: { replicas: 0 }, message: /spec\.replicas: Invalid value: .*replicas must be odd and at least 1/ },
  {
    what: 'more replicas than a quorum is fast with',
    spec: { replicas: 11 },
    message: /spec\.replicas: Invalid value: 11: .*less than or equal to 9/,
  },
  {
    what: 'replicas that are no number',
    spec: { replicas: 'three' },
    message: /spec\.replicas: Invalid value: "string": .*must be of type integer/,
  },
  { what: 'an unknown field', spec: { replica: 3 }, message: /strict decoding error: unknown field "spec\.replica"/ },
  {
    what: 'an unknown field of a user',
    spec: { users: [{ ...user, password: 'x' }] },
    message: /strict decoding error: unknown field "spec\.users\[0\]\.password"/,
  },
  {
    what: 'an unknown permission',
    spec: { users: [{ name: 'app', permissions: ['query', 'drop'] }] },
    message: /spec\.users\[0\]\.permissions\[1\]: Unsupported value: "drop": supported values: "all", "execute", "query"/,
  },
  {
    what: 'a user without a name',
    spec: { users: [{ permissions: ['query'] }] },
    message: /spec\.users\[0\]\.name: Required value/,
  },
  { what: 'a user without permissions', spec: { users: [{ name: 'app' }] }, message: /spec\.users\[0\]\.permissions: Required value/ },
  {
    what: 'a user with an empty list of permissions',
    spec: { users: [{ name: 'app', permissions: [] }] },
    message: /spec\.users\[0\]\.permissions: .*at least 1 items/,
  },
  {
    what: 'two users of one name',
    spec: { users: [user, user] },
    message: /spec\.users\[1\]: Duplicate value: {"name":"app"}/,
  },
  {
    what: 'a user name that is reserved',
    spec: { users: [{ ...user, name: 'securesql-operator' }] },
    message: /user names that begin with securesql- are reserved/,
  },
  {
    what: 'a storage size that is no quantity',
    spec: { storage: { size: 'much' } },
    message: /spec\.storage\.size: Invalid value: "much"/,
  },
  { what: 'no storage', spec: { storage: undefined }, message: /spec\.storage: Required value/ },
  {
    what: 'a client that is nobody',
    spec: { network: { allowedClients: [{}] } },
    message: /name either ipBlock alone, or podSelector, namespaceSelector or both/,
  },
  {
    what: 'a client by address and label at once',
    spec: { network: { allowedClients: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] } },
    message: /name either ipBlock alone, or podSelector, namespaceSelector or both/,
  },
  {
    what: 'an address that is no network',
    spec: { network: { allowedClients: [{ ipBlock: { cidr: '10.0.0.1' } }] } },
    message: /must be a network in CIDR form/,
  },
  {
    what: 'a requirement of no value',
    spec: { network: { allowedClients: [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'In' }] } }] } },
    message: /In and NotIn need values, Exists and DoesNotExist take none/,
  },
  {
    what: 'a label value that no label can have',
    spec: { network: { allowedClients: [{ podSelector: { matchLabels: { app: 'a/b' } } }] } },
    message: /matchLabels\.app: Invalid value: "a\/b"/,
  },
  {
    what: 'an unknown deletion policy',
    spec: { deletionPolicy: 'Burn' },
    message: /spec\.deletionPolicy: Unsupported value: "Burn": supported values: "Retain", "Delete"/,
  },
]

for (const { what, spec, message } of refusals) {
  test(`${what}: refused with a message that says what is wrong, and nothing is stored`, async () => {
    const created = await admin.attempt(['create', '--validate=strict', '--filename=-'], cluster('refused', spec))
    assert.match(created.stderr, message)
    assert.equal(created.exitCode, 1)
    const applied = await admin.attempt(['apply', '--server-side', '--validate=strict', '--filename=-'], cluster('refused', spec))
    assert.equal(applied.exitCode, 1)
    const stored = await admin.attempt(['get', 'ssc', 'refused', '--namespace', namespace])
    assert.match(stored.stderr, /NotFound/)
  })
}

test('a name whose objects could be those of another cluster is refused', async () => {
  for (const name of ['a-nodes', 'a-user', 'a-user-b']) {
    const created = await admin.attempt(['create', '--filename=-'], cluster(name, {}))
    assert.match(created.stderr, /metadata\.name must not end in -nodes or -user/)
  }
})

test('a change that would lose data or cannot be done is refused: a smaller volume, another storage class', async () => {
  const stored = { storage: { size: '2Gi', storageClassName: 'fast' } }
  await admin.run(['apply', '--server-side', '--filename=-'], cluster('immutable', stored))
  const smaller = await admin.attempt(
    ['apply', '--server-side', '--filename=-'],
    cluster('immutable', { storage: { size: '1Gi', storageClassName: 'fast' } }),
  )
  assert.match(smaller.stderr, /storage\.size can only grow/)
  const moved = await admin.attempt(
    ['apply', '--server-side', '--filename=-'],
    cluster('immutable', { storage: { size: '2Gi', storageClassName: 'slow' } }),
  )
  assert.match(moved.stderr, /storage\.storageClassName cannot be changed/)
  await admin.run(['apply', '--server-side', '--filename=-'], cluster('immutable', { storage: { size: '3Gi', storageClassName: 'fast' } }))
})

test('kubectl scale is held to the same rule as the resource', async () => {
  await admin.run(['apply', '--server-side', '--filename=-'], cluster('scaled', {}))
  const even = await admin.attempt(['scale', 'ssc/scaled', '--replicas=2', '--namespace', namespace])
  assert.match(even.stderr, /replicas must be odd and at least 1/)
  await admin.run(['scale', 'ssc/scaled', '--replicas=5', '--namespace', namespace])
})

function cluster(name: string, spec: object): string {
  return JSON.stringify({
    apiVersion: 'securesql.dev/v1alpha1',
    kind: 'SecureSqlCluster',
    metadata: { name, namespace },
    spec: { storage: { size: '1Gi' }, ...spec },
  })
}
