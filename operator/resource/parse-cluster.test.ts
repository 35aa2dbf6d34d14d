import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeIssues, parseCluster } from './parse-cluster.ts'
import { quorumOf } from './cluster.ts'
import { names } from './names.ts'

function resource(spec: unknown, metadata: Record<string, unknown> = {}): unknown {
  return {
    apiVersion: 'securesql.dev/v1alpha1',
    kind: 'SecureSqlCluster',
    metadata: { name: 'orders', namespace: 'shop', uid: 'u-1', generation: 4, ...metadata },
    spec,
  }
}
const minimal = { storage: { size: '1Gi' } }
const user = { name: 'app', permissions: ['query'] }

test('a resource with a storage size alone gets every default in memory', () => {
  const parsed = parseCluster(resource(minimal))
  assert.deepEqual(parsed, {
    ok: true,
    value: {
      name: 'orders',
      namespace: 'shop',
      uid: 'u-1',
      generation: 4,
      replicas: 3,
      storage: { size: '1Gi', storageClassName: undefined },
      image: undefined,
      resources: undefined,
      users: [],
      allowedClients: [],
      deletionPolicy: 'Retain',
    },
  })
})

test('parsing does not touch the object that it reads', () => {
  const object = resource({ ...minimal, users: [{ ...user, passwordSecret: { name: 'p' } }] })
  const before = structuredClone(object)
  const parsed = parseCluster(object)
  assert.deepEqual(object, before)
  assert.equal(parsed.ok && parsed.value.users[0]?.passwordSecret?.key, 'password')
})

test('status and unknown metadata of a stored object are of no concern to the parser', () => {
  const object = Object.assign(resource(minimal, { managedFields: [], labels: { a: 'b' } }) as object, { status: { anything: true } })
  assert.equal(parseCluster(object).ok, true)
})

const accepted: Readonly<Record<string, unknown>> = {
  'one member': { ...minimal, replicas: 1 },
  'seven members': { ...minimal, replicas: 7 },
  'a whole number of CPUs without quotes': { ...minimal, resources: { requests: { cpu: 1, memory: '512Mi' }, limits: { cpu: '1500m' } } },
  'an explicit "all pods of this namespace"': { ...minimal, network: { allowedClients: [{ podSelector: {} }] } },
  'pods of other namespaces, both selectors in one peer': {
    ...minimal,
    network: {
      allowedClients: [
        {
          podSelector: { matchLabels: { app: 'shop' } },
          namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a'] }] },
        },
      ],
    },
  },
  'a network outside with an exception': {
    ...minimal,
    network: { allowedClients: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { ipBlock: { cidr: 'fd00::/8' } }] },
  },
  'an image by digest': { ...minimal, image: `registry.example.com:5000/team/securesql-node@sha256:${'a'.repeat(64)}` },
}
for (const [title, spec] of Object.entries(accepted)) {
  test(`accepted: ${title}`, () => {
    const parsed = parseCluster(resource(spec))
    assert.equal(parsed.ok, true, parsed.ok ? '' : describeIssues(parsed.problem))
  })
}

const refused: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  'no storage': [{}, /^spec\.storage: required$/],
  'an unknown field of the spec': [{ ...minimal, replica: 3 }, /^spec\.replica: unknown field$/],
  'an unknown field deep inside': [{ ...minimal, users: [{ ...user, perms: [] }] }, /^spec\.users\[0\]\.perms: unknown field$/],
  'no replicas': [{ ...minimal, replicas: 0 }, /^spec\.replicas: replicas must be odd and at least 1/],
  'two replicas': [{ ...minimal, replicas: 2 }, /^spec\.replicas: replicas must be odd/],
  'minus one replicas': [{ ...minimal, replicas: -1 }, /^spec\.replicas: replicas must be odd/],
  'eleven replicas': [{ ...minimal, replicas: 11 }, /^spec\.replicas: Too big/],
  'half a replica': [{ ...minimal, replicas: 1.5 }, /^spec\.replicas: must be of type int/],
  'a size that is no quantity': [{ storage: { size: '1 GB' } }, /^spec\.storage\.size: must be a quantity/],
  'a negative size': [{ storage: { size: '-1Gi' } }, /^spec\.storage\.size: must be a quantity/],
  'a user without a name': [{ ...minimal, users: [{ permissions: ['query'] }] }, /^spec\.users\[0\]\.name: required$/],
  'a user with an empty name': [{ ...minimal, users: [{ ...user, name: '' }] }, /^spec\.users\[0\]\.name: /],
  'a user named *': [{ ...minimal, users: [{ ...user, name: '*' }] }, /^spec\.users\[0\]\.name: must be a DNS label/],
  'a user name with a colon, which HTTP Basic cannot carry': [{ ...minimal, users: [{ ...user, name: 'a:b' }] }, /must be a DNS label/],
  'a user name with a line break': [{ ...minimal, users: [{ ...user, name: 'a\nb' }] }, /must be a DNS label/],
  "the operator's own user": [{ ...minimal, users: [{ ...user, name: 'securesql-operator' }] }, /reserved/],
  'a user without permissions': [{ ...minimal, users: [{ name: 'app' }] }, /^spec\.users\[0\]\.permissions: required$/],
  'a user with no permission': [{ ...minimal, users: [{ name: 'app', permissions: [] }] }, /^spec\.users\[0\]\.permissions: /],
  'an unknown permission': [
    { ...minimal, users: [{ name: 'app', permissions: ['write'] }] },
    /^spec\.users\[0\]\.permissions\[0\]: must be one of all, execute/,
  ],
  'a permission twice': [{ ...minimal, users: [{ name: 'app', permissions: ['query', 'query'] }] }, /named once/],
  'a user twice': [{ ...minimal, users: [user, { ...user, permissions: ['execute'] }] }, /^spec\.users: a user may be named once$/],
  'a Secret of another namespace': [
    { ...minimal, users: [{ ...user, passwordSecret: { name: 'p', namespace: 'other' } }] },
    /namespace: unknown field$/,
  ],
  'a Secret name that climbs out of its path': [
    { ...minimal, users: [{ ...user, passwordSecret: { name: '../other/p' } }] },
    /must be a DNS subdomain/,
  ],
  'an empty peer, which would mean everyone': [{ ...minimal, network: { allowedClients: [{}] } }, /name either ipBlock alone/],
  'addresses and pods in one peer': [
    { ...minimal, network: { allowedClients: [{ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }] } },
    /name either ipBlock alone/,
  ],
  'an address without a prefix length': [{ ...minimal, network: { allowedClients: [{ ipBlock: { cidr: '10.0.0.1' } }] } }, /CIDR/],
  'a prefix that is too long': [{ ...minimal, network: { allowedClients: [{ ipBlock: { cidr: '10.0.0.0/33' } }] } }, /CIDR/],
  'a deletion policy in lower case': [{ ...minimal, deletionPolicy: 'delete' }, /^spec\.deletionPolicy: must be one of Retain, Delete$/],
  'an image with a space': [{ ...minimal, image: 'node --flag' }, /must be an image reference/],
}
for (const [title, [spec, message]] of Object.entries(refused)) {
  test(`refused: ${title}`, () => {
    const parsed = parseCluster(resource(spec))
    assert.equal(parsed.ok, false)
    assert.match(parsed.ok ? '' : describeIssues(parsed.problem), message)
  })
}

const selectors: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  'a label key with a space': [{ matchLabels: { 'a b': 'c' } }, /matchLabels\.a b: must have a label key$/],
  'a label key with an upper-case prefix': [{ matchLabels: { 'Example.com/a': 'c' } }, /must have a label key/],
  'a label key whose name is too long': [{ matchLabels: { ['a'.repeat(64)]: 'c' } }, /must have a label key/],
  'a label value with a slash': [{ matchLabels: { a: 'b/c' } }, /must be a label value/],
  'a requirement about no label key': [{ matchExpressions: [{ key: '-a', operator: 'Exists' }] }, /must be a label key/],
  'In without values': [{ matchExpressions: [{ key: 'a', operator: 'In' }] }, /In and NotIn need values/],
  'NotIn with an empty list': [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: [] }] }, /In and NotIn need values/],
  'Exists with a value': [{ matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] }, /In and NotIn need values/],
}
for (const [title, [selector, message]] of Object.entries(selectors)) {
  test(`refused, since the API server would refuse the policy: ${title}`, () => {
    for (const peer of [{ podSelector: selector }, { namespaceSelector: selector }]) {
      const parsed = parseCluster(resource({ ...minimal, network: { allowedClients: [peer] } }))
      assert.match(parsed.ok ? '' : describeIssues(parsed.problem), message)
    }
  })
}

test('an exception outside of its network, or all of it, is refused; a part of it is not', () => {
  const parse = (cidr: string, except: string) =>
    parseCluster(resource({ ...minimal, network: { allowedClients: [{ ipBlock: { cidr, except: [except] } }] } }))
  for (const except of ['11.0.0.0/16', '10.0.0.0/8', '10.0.0.0/7', 'fd00::/16', '::ffff:10.1.0.0/112']) {
    const parsed = parse('10.0.0.0/8', except)
    assert.match(parsed.ok ? '' : describeIssues(parsed.problem), /except: must be parts of cidr, smaller than it$/, except)
  }
  assert.equal(parse('10.0.0.0/8', '10.255.0.0/16').ok, true)
  assert.equal(parse('fd00::/8', 'fd12::/16').ok, true)
})

test('what the API server drops is dropped in memory: empty lists and maps, but no empty selector', () => {
  const peers = [
    { podSelector: { matchLabels: {} }, namespaceSelector: {} },
    { podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: [] }], matchLabels: {} } },
    { ipBlock: { cidr: '10.0.0.0/8', except: [] } },
  ]
  const parsed = parseCluster(resource({ ...minimal, resources: { requests: {}, limits: { cpu: 1 } }, network: { allowedClients: peers } }))
  assert.deepEqual(parsed.ok && parsed.value.resources, { limits: { cpu: 1 } })
  assert.deepEqual(parsed.ok && parsed.value.allowedClients, [
    { podSelector: {}, namespaceSelector: {} },
    { podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] } },
    { ipBlock: { cidr: '10.0.0.0/8' } },
  ])
})

test('two clusters never share the name of an object: names that could are refused', () => {
  for (const name of ['a-nodes', 'a-user', 'a-user-b', 'a-user-b-c', 'user-user'])
    assert.equal(parseCluster(resource(minimal, { name })).ok, false, name)
  for (const name of ['nodes', 'user', 'user-a', 'a-users', 'a-nodes-b', 'superuser'])
    assert.equal(parseCluster(resource(minimal, { name })).ok, true, name)
})

test('no two accepted cluster names lead to one object name, whatever the users are called', () => {
  const parts = ['a', 'user', 'nodes', 'node', 'access', 'api', 'tls', 'ca', 'operator', 'client']
  const clusters = parts.flatMap((one) => [
    one,
    ...parts.flatMap((two) => [`${one}-${two}`, ...parts.map((three) => `${one}-${two}-${three}`)]),
  ])
  const users = parts.flatMap((one) => [one, ...parts.map((two) => `${one}-${two}`)])
  const owners = new Map<string, string>()
  for (const name of clusters.filter((candidate) => parseCluster(resource(minimal, { name: candidate })).ok)) {
    const cluster = { name, namespace: 'shop' }
    const secrets = [names.clientCa, names.nodeCa, names.caBundle, names.apiTls, names.nodeTls, names.access, names.operatorUser]
    const policies = [names.denyPolicy, names.raftPolicy, names.apiPolicy, names.dnsPolicy]
    const made = [
      ...secrets.map((make) => `Secret ${make(cluster)}`),
      ...users.map((user) => `Secret ${names.userPassword(cluster, user)}`),
      ...policies.map((make) => `NetworkPolicy ${make(cluster)}`),
      ...[names.clientService, names.nodesService].map((make) => `Service ${make(cluster)}`),
      `ServiceAccount ${names.serviceAccount(cluster)}`,
    ]
    for (const object of made) {
      assert.equal(owners.get(object) ?? name, name, object)
      owners.set(object, name)
    }
  }
})

test('a name that Services and pods cannot carry is refused', () => {
  for (const name of ['a'.repeat(41), 'or.ders', '1st', 'Orders', 'orders-'])
    assert.equal(parseCluster(resource(minimal, { name })).ok, false, name)
  assert.equal(parseCluster(resource(minimal, { name: 'a'.repeat(40) })).ok, true)
})

test('every issue is reported, not only the first', () => {
  const parsed = parseCluster(resource({ replicas: 2, storage: {}, users: [{ name: '*', permissions: ['x'] }] }))
  assert.equal(parsed.ok ? 0 : parsed.problem.length, 4)
})

test('a quorum is more than half (Raft §5.2)', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 7, 9].map(quorumOf), [1, 2, 2, 3, 3, 4, 5])
})
