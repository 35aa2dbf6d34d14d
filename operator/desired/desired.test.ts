import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { podLayout } from '../../contract/admin-api.ts'
import { parseAccessFile } from '../../contract/parse-access-file.ts'
import type { Cluster } from '../resource/cluster.ts'
import { accessFile } from './access-secret.ts'
import { apiCertificateNames, nodeCertificateNames } from './certificate-names.ts'
import { desired } from './desired.ts'
import type { DesiredObject } from './desired-object.ts'
import type { Installation } from './installation.ts'
import type { Material } from './material.ts'

const cluster: Cluster = {
  name: 'orders',
  namespace: 'shop',
  uid: 'uid-orders',
  generation: 1,
  replicas: 3,
  storage: { size: '1Gi', storageClassName: 'fast' },
  image: undefined,
  resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  users: [
    { name: 'app', permissions: ['execute', 'query'], passwordSecret: undefined },
    { name: 'reporting', permissions: ['query'], passwordSecret: { name: 'reporting-password', key: 'password' } },
  ],
  allowedClients: [{ podSelector: { matchLabels: { app: 'shop' } } }],
  deletionPolicy: 'Retain',
}
const installation: Installation = {
  operatorNamespace: 'securesql-system',
  nodeImage: 'securesql-node:0.1.0',
  extraDnsNames: [],
  extraIpAddresses: [],
}
const secrets = [
  'SECRET-client-ca-key',
  'SECRET-node-ca-key',
  'SECRET-api-key',
  'SECRET-node-key',
  'SECRET-operator-password',
  'SECRET-app-password',
  'SECRET-hash',
]
const material: Material = {
  clientCa: { certificatePem: 'client-ca-certificate', keyPem: secrets[0]! },
  nodeCa: { certificatePem: 'node-ca-certificate', keyPem: secrets[1]! },
  apiLeaf: { certificatePem: 'api-certificate', keyPem: secrets[2]! },
  nodeLeaf: { certificatePem: 'node-certificate', keyPem: secrets[3]! },
  operatorPassword: secrets[4]!,
  userPasswords: [{ user: 'app', password: secrets[5]! }],
  access: { file: `[${secrets[6]}]`, sources: { app: 'uid/1' } },
}

type Json = Record<string, unknown>
const all = (of: Partial<Cluster> = {}): readonly DesiredObject[] => desired({ ...cluster, ...of }, material, installation)
const some = (kind: string, of: Partial<Cluster> = {}) => all(of).filter((object) => object.kind === kind)
const one = (kind: string, name: string, of: Partial<Cluster> = {}): DesiredObject => {
  const found = some(kind, of).find((object) => object.metadata.name === name)
  assert.ok(found, `${kind} ${name}`)
  return found
}
const podSpecOf = (object: DesiredObject): Json => ((object['spec'] as Json)['template'] as Json)['spec'] as Json
const containerOf = (object: DesiredObject): Json => (podSpecOf(object)['containers'] as Json[])[0]!

const maxUnavailable = (replicas: number) => (one('PodDisruptionBudget', 'orders', { replicas })['spec'] as Json)['maxUnavailable']
const claimPolicy = (deletionPolicy: 'Retain' | 'Delete') =>
  (one('StatefulSet', 'orders', { deletionPolicy })['spec'] as Json)['persistentVolumeClaimRetentionPolicy']
const certificateNames = (replicas: number) => [
  apiCertificateNames({ ...cluster, replicas }, installation),
  nodeCertificateNames({ ...cluster, replicas }, installation),
]

/** Every value in a tree with its path. */
function* leavesOf(value: unknown, path = ''): Generator<readonly [string, unknown]> {
  if (typeof value !== 'object' || value === null) yield [path, value]
  else for (const [key, part] of Object.entries(value)) yield* leavesOf(part, `${path}.${key}`)
}

test('the objects of a cluster', (t) => {
  for (const object of all()) {
    const file = `${import.meta.dirname}/expected/${object.kind.toLowerCase()}-${object.metadata.name}.yaml`
    t.assert.fileSnapshot(object, file, {
      serializers: [(value: unknown) => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })],
    })
  }
})

test('policies, Secrets and Services come before the pods that they protect', () => {
  const kinds = all().map((object) => object.kind)
  const pods = kinds.indexOf('StatefulSet')
  for (const kind of ['NetworkPolicy', 'ServiceAccount', 'Secret', 'Service']) assert.ok(kinds.lastIndexOf(kind) < pods, kind)
})

test('every object is in the namespace of the cluster, labelled, and owned by it', () => {
  for (const { metadata } of all()) {
    assert.equal(metadata.namespace, 'shop')
    assert.equal(metadata.labels['securesql.dev/cluster'], 'orders')
    assert.equal(metadata.labels['app.kubernetes.io/managed-by'], 'securesql-operator')
    assert.deepEqual(metadata.ownerReferences, [
      {
        apiVersion: 'securesql.dev/v1alpha1',
        kind: 'SecureSqlCluster',
        name: 'orders',
        uid: 'uid-orders',
        controller: true,
        blockOwnerDeletion: true,
      },
    ])
  }
})

test('no two objects share kind and name', () => {
  const keys = all().map((object) => `${object.kind}/${object.metadata.name}`)
  assert.equal(new Set(keys).size, keys.length)
})

test('secret material is in Secrets alone, and each key in one of them', () => {
  const holders = new Map(secrets.map((text) => [text, [] as string[]]))
  for (const object of all()) {
    for (const [path, value] of leavesOf(object)) {
      const plain = String(value)
      const decoded = path.startsWith('.data.') ? Buffer.from(plain, 'base64').toString() : plain
      for (const text of secrets) if (decoded.includes(text)) holders.get(text)!.push(`${object.kind}/${object.metadata.name}${path}`)
    }
  }
  assert.deepEqual(Object.fromEntries(holders), {
    'SECRET-client-ca-key': ['Secret/orders-client-ca.data.tls.key'],
    'SECRET-node-ca-key': ['Secret/orders-node-ca.data.tls.key'],
    'SECRET-api-key': ['Secret/orders-api-tls.data.tls.key'],
    'SECRET-node-key': ['Secret/orders-node-tls.data.tls.key'],
    'SECRET-operator-password': ['Secret/orders-operator.data.password'],
    'SECRET-app-password': ['Secret/orders-user-app.data.password'],
    'SECRET-hash': ['Secret/orders-access.data.access.json'],
  })
})

test('no pod mounts a CA key, a password or the operator’s own Secret', () => {
  for (const object of some('StatefulSet')) {
    const mounted = (podSpecOf(object)['volumes'] as Json[]).flatMap((volume) =>
      volume['secret'] === undefined ? [] : [(volume['secret'] as Json)['secretName']],
    )
    assert.deepEqual(mounted, ['orders-api-tls', 'orders-node-tls', 'orders-access'])
  }
})

test('every policy names its types, its ports by number, and a peer for every rule', () => {
  const policies = some('NetworkPolicy')
  assert.equal(policies.length, 4)
  for (const policy of policies) {
    const spec = policy['spec'] as Json
    assert.ok(Array.isArray(spec['policyTypes']) && spec['policyTypes'].length > 0, policy.metadata.name)
    assert.ok(
      Object.keys((spec['podSelector'] as Json)['matchLabels'] as Json).length > 0,
      'an empty podSelector would catch every pod of the namespace',
    )
    for (const [rules, side] of [
      [spec['ingress'], 'from'],
      [spec['egress'], 'to'],
    ] as const) {
      for (const rule of (rules ?? []) as Json[]) {
        const peers = rule[side] as Json[]
        assert.ok(peers.length > 0, `${policy.metadata.name}: a rule without ${side} lets everyone in`)
        for (const peer of peers) assert.ok(Object.keys(peer).length > 0, `${policy.metadata.name}: an empty peer`)
        const ports = rule['ports'] as Json[]
        assert.ok(ports.length > 0, `${policy.metadata.name}: a rule without ports opens all of them`)
        for (const port of ports) assert.equal(typeof port['port'], 'number')
      }
    }
  }
})

test('all traffic that no other policy allows is denied, in both directions', () => {
  const spec = one('NetworkPolicy', 'orders-deny')['spec'] as Json
  assert.deepEqual([spec['policyTypes'], spec['ingress'], spec['egress']], [['Ingress', 'Egress'], undefined, undefined])
})

test('the Raft port is open to members of the same cluster in the same namespace, whatever the resource says', () => {
  const open = [{ podSelector: {} }, { namespaceSelector: {} }, { ipBlock: { cidr: '0.0.0.0/0' } }]
  const touching = some('NetworkPolicy', { allowedClients: open }).flatMap((policy) => {
    const spec = policy['spec'] as Json
    return [...((spec['ingress'] ?? []) as Json[])]
      .filter((rule) => (rule['ports'] as Json[]).some((port) => port['port'] === podLayout.raftPort))
      .map((rule) => rule['from'])
  })
  assert.deepEqual(touching, [
    [{ podSelector: { matchLabels: { 'securesql.dev/cluster': 'orders', 'app.kubernetes.io/component': 'node' } } }],
  ])
})

test('without allowed clients the API port is open to members and operator alone', () => {
  const spec = one('NetworkPolicy', 'orders-api', { allowedClients: [] })['spec'] as Json
  const peers = (spec['ingress'] as Json[])[0]!['from'] as Json[]
  assert.equal(peers.length, 2)
  assert.deepEqual(Object.keys(peers[1]!), ['namespaceSelector', 'podSelector'], 'the operator is one peer: both selectors must hold')
})

test('pods satisfy the Pod Security Standard "restricted"', () => {
  for (const object of some('StatefulSet')) {
    const pod = podSpecOf(object)
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers']) assert.equal(pod[field], undefined, field)
    const context = pod['securityContext'] as Json
    assert.equal(context['runAsNonRoot'], true)
    assert.ok((context['runAsUser'] as number) > 0)
    assert.deepEqual(context['seccompProfile'], { type: 'RuntimeDefault' })
    for (const container of pod['containers'] as Json[]) {
      const own = container['securityContext'] as Json
      assert.deepEqual(
        [own['allowPrivilegeEscalation'], own['privileged'], own['readOnlyRootFilesystem'], own['runAsNonRoot']],
        [false, false, true, true],
      )
      assert.deepEqual(own['capabilities'], { drop: ['ALL'] })
      for (const port of container['ports'] as Json[]) assert.equal(port['hostPort'], undefined)
    }
    for (const volume of pod['volumes'] as Json[])
      assert.ok(
        Object.keys(volume).every((key) => ['name', 'secret', 'emptyDir'].includes(key)),
        JSON.stringify(volume),
      )
    assert.equal(pod['automountServiceAccountToken'], false)
    assert.equal(pod['enableServiceLinks'], false)
  }
  assert.equal(one('ServiceAccount', 'orders-node')['automountServiceAccountToken'], false)
})

test('probes use HTTPS and carry neither credentials nor a host', () => {
  const container = containerOf(one('StatefulSet', 'orders'))
  for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const { path, port, scheme, ...rest } = (container[name] as Json)['httpGet'] as Json
    assert.deepEqual([scheme, port, rest], ['HTTPS', 4001, {}])
    assert.match(String(path), name === 'readinessProbe' ? /^\/readyz$/ : /^\/readyz\?noleader$/)
  }
})

test('environment and arguments carry no value from a Secret', () => {
  const container = containerOf(one('StatefulSet', 'orders'))
  assert.deepEqual(container['env'], [{ name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }])
  assert.equal(container['envFrom'], undefined)
})

test('the data directory is the last argument, and lies inside of the volume', () => {
  const args = containerOf(one('StatefulSet', 'orders'))['args'] as string[]
  assert.equal(args.at(-1), '/var/lib/securesql/data')
  for (const argument of args.slice(0, -1)) assert.match(argument, /^-[a-z-]+=/)
})

test('secret files can be read by the pod’s group and by nobody else', () => {
  for (const volume of podSpecOf(one('StatefulSet', 'orders'))['volumes'] as Json[]) {
    if (volume['secret'] !== undefined) assert.equal((volume['secret'] as Json)['defaultMode'], 0o440)
  }
})

test('evictions may take what the quorum can spare; a single member may always be moved', () => {
  assert.deepEqual([1, 3, 5, 7].map(maxUnavailable), [1, 1, 2, 3])
})

test('the deletion policy is what becomes of the volumes; scaling never deletes one', () => {
  assert.deepEqual(claimPolicy('Retain'), { whenDeleted: 'Retain', whenScaled: 'Retain' })
  assert.deepEqual(claimPolicy('Delete'), { whenDeleted: 'Delete', whenScaled: 'Retain' })
})

test('certificate names do not depend on the number of members', () => {
  assert.deepEqual(certificateNames(3), certificateNames(7))
  assert.deepEqual(certificateNames(3)[0]?.dnsNames, [
    'orders',
    'orders.shop',
    'orders.shop.svc',
    'orders.shop.svc.cluster.local',
    '*.orders-nodes.shop.svc',
    '*.orders-nodes.shop.svc.cluster.local',
  ])
  assert.deepEqual(certificateNames(3)[1]?.dnsNames, ['*.orders-nodes.shop.svc', '*.orders-nodes.shop.svc.cluster.local'])
})

test('loopback names stand in a certificate only when the installation asks for them', () => {
  const local = { ...installation, extraDnsNames: ['localhost'], extraIpAddresses: ['127.0.0.2'] }
  assert.deepEqual(apiCertificateNames(cluster, installation).ipAddresses, [])
  assert.deepEqual(apiCertificateNames(cluster, local).ipAddresses, ['127.0.0.2'])
  assert.equal(apiCertificateNames(cluster, local).dnsNames.at(-1), 'localhost')
})

const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'

test('the access file lets everybody ask for readiness and the operator for status, and is one that a node accepts', () => {
  const text = accessFile(
    cluster,
    new Map([
      ['securesql-operator', hash],
      ['app', hash],
      ['reporting', hash],
    ]),
  )
  assert.deepEqual(parseAccessFile(text), {
    ok: true,
    value: [
      { username: '*', perms: ['ready'] },
      { username: 'securesql-operator', password: hash, perms: ['status', 'ready'] },
      { username: 'app', password: hash, perms: ['execute', 'query'] },
      { username: 'reporting', password: hash, perms: ['query'] },
    ],
  })
})

test('a user without a hash is left out of the access file rather than let in without a password', () => {
  const parsed = parseAccessFile(accessFile(cluster, new Map([['app', hash]])))
  assert.deepEqual(parsed.ok && parsed.value.map((entry) => entry.username), ['*', 'app'])
})

test('the immutable template of the claims carries nothing that a later version could want to change', () => {
  const set = desired(cluster, material, installation).find((object) => object.kind === 'StatefulSet') as unknown as {
    spec: { selector: { matchLabels: Record<string, string> }; volumeClaimTemplates: { metadata: { labels: Record<string, string> } }[] }
  }
  for (const [key, value] of Object.entries(set.spec.volumeClaimTemplates[0]!.metadata.labels))
    assert.equal(set.spec.selector.matchLabels[key], value, key)
})
