import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import { condition, message, spec, start, statusOf } from './questions.ts'
import { settledAfterMs } from './reconciler.ts'
import { allReady, clusterRef, newWorld, report, secretOf, textOf } from './test-world.ts'
import type { World } from './test-world.ts'

const credentials = new OwnCredentials({ bcryptCost: 4 })
after(() => credentials.close())
let world: World
beforeEach(() => (world = newWorld(credentials)))

const dayMs = 24 * 60 * 60 * 1000
const transitions = async () => (await statusOf(world)).conditions?.map((entry) => [entry.type, entry.lastTransitionTime])

test('from the resource to a running cluster: every object, then Ready', async () => {
  await secretOf(world, 'reporting-password', { password: 'quarterly' })
  await world.user(spec)
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['False', 'MembersStarting'])
  assert.deepEqual(await condition(world, 'Progressing'), ['True', 'MembersStarting'])
  allReady(world, 3)
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'Settled'])
  assert.deepEqual(await condition(world, 'Degraded'), ['False', 'AsExpected'])
  assert.deepEqual(await condition(world, 'UsersReady'), ['True', 'AccessGranted'])
  assert.deepEqual(await condition(world, 'CertificatesReady'), ['True', 'Issued'])
  assert.deepEqual(await condition(world, 'NetworkRestricted'), ['True', 'PoliciesInPlace'])
  const { conditions: _, certificates, ...rest } = await statusOf(world)
  assert.deepEqual(rest, {
    observedGeneration: 1,
    leader: 'orders-0',
    members: [
      { name: 'orders-0', role: 'Leader', ready: true },
      { name: 'orders-1', role: 'Follower', ready: true },
      { name: 'orders-2', role: 'Follower', ready: true },
    ],
    endpoint: 'https://orders.shop.svc:4001',
    replicas: 3,
    readyReplicas: 3,
    selector: 'securesql.dev/cluster=orders,app.kubernetes.io/component=node',
  })
  assert.deepEqual(certificates, {
    expiresAt: '2027-04-01T00:00:00Z',
    clientCaExpiresAt: '2036-12-29T00:00:00Z',
    nodeCaExpiresAt: '2036-12-29T00:00:00Z',
  })
})

test('a pass on a settled cluster writes nothing, and asks to be called again within ten seconds', async () => {
  await start(world)
  const before = world.watched.writes.length
  for (let passes = 0; passes < 5; passes++) assert.deepEqual(await world.pass(), { requeueAfterMs: settledAfterMs })
  assert.equal(world.watched.writes.length, before)
  assert.ok(settledAfterMs <= 10_000)
})

test('empty lists and maps in the spec, which the API server does not keep, are no difference for ever', async () => {
  await start(world)
  const allowedClients = [
    { podSelector: { matchLabels: {}, matchExpressions: [] } },
    { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists', values: [] }] } },
    { ipBlock: { cidr: '10.0.0.0/8', except: [] } },
  ]
  await world.user({ ...spec, network: { allowedClients }, resources: { requests: {}, limits: {} } })
  await world.settle()
  assert.deepEqual(await condition(world, 'Degraded'), ['False', 'AsExpected'])
  const policy = (await world.object('NetworkPolicy', 'orders-api'))!['spec'] as { ingress: { from: unknown[] }[] }
  assert.deepEqual(policy.ingress[0]?.from.slice(2), [
    { podSelector: {} },
    { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } },
    { ipBlock: { cidr: '10.0.0.0/8' } },
  ])
})

test('the spec is never written', async () => {
  await start(world)
  assert.deepEqual((await world.object('SecureSqlCluster', 'orders'))?.['spec'], spec)
  assert.equal(
    world.watched.writes.some((write) => write.verb !== 'applyStatus' && write.object.startsWith('SecureSqlCluster')),
    false,
  )
})

test('policies, certificates and the access file are written before the StatefulSet', async () => {
  await start(world)
  const order = world.watched.writes.filter((write) => write.verb === 'apply').map((write) => write.object)
  const pods = order.indexOf('StatefulSet orders')
  assert.equal(order.length, new Set(order).size, 'each object once')
  const later = order.slice(pods + 1)
  assert.deepEqual(later, ['PodDisruptionBudget orders'])
})

test('a spec that does not satisfy the schema changes nothing and says why', async () => {
  await start(world)
  const before = world.watched.writes.length
  await world.user({ ...spec, replicas: 2, users: [] })
  await world.settle()
  assert.deepEqual(world.watched.writes.slice(before), [{ verb: 'applyStatus', object: 'SecureSqlCluster orders' }])
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'InvalidSpec'])
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'InvalidSpec'])
  assert.match(await message(world, 'Progressing'), /spec\.replicas/)
  assert.deepEqual(await condition(world, 'UsersReady'), ['True', 'AccessGranted'])
  assert.equal((await statusOf(world)).leader, 'orders-0')
  await world.user(spec)
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
})

test('while the spec is invalid, members are still asked and certificates still renewed', async () => {
  await start(world)
  const leaf = await textOf(world, 'orders-api-tls', 'tls.crt')
  await world.user({ ...spec, replicas: 2 })
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'], 'it serves, whatever the spec says')
  world.answers.delete('orders-2')
  assert.ok((await world.pass()).requeueAfterMs !== undefined)
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'QuorumReady'])
  assert.equal((await statusOf(world)).members?.length, 3)
  world.nowMs += 61 * dayMs
  await world.settle()
  assert.notEqual(await textOf(world, 'orders-api-tls', 'tls.crt'), leaf)
  world.answers.delete('orders-1')
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['False', 'QuorumLost'])
})

test('an invalid spec from the start makes nothing', async () => {
  await world.user({ ...spec, replicas: 2 })
  await world.settle()
  assert.deepEqual(await world.pass(), {})
  assert.equal(world.events.filter((event) => event.kind === 'spec-invalid').length, 1)
  assert.deepEqual(world.watched.writes, [{ verb: 'applyStatus', object: 'SecureSqlCluster orders' }])
  assert.deepEqual(await condition(world, 'Ready'), ['False', 'InvalidSpec'])
})

test('another number of members is refused for now and the StatefulSet is not touched', async () => {
  await start(world)
  const before = await world.object('StatefulSet', 'orders')
  await world.user({ ...spec, replicas: 5 })
  await world.settle()
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'ScalingNotSupportedYet'])
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'ScalingNotSupportedYet'])
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
  assert.deepEqual(await world.object('StatefulSet', 'orders'), before)
  assert.equal((await statusOf(world)).members?.length, 3)
})

test('growing volumes is refused for now, and other changes of the same spec are made', async () => {
  await start(world)
  await world.user({ ...spec, storage: { size: '2Gi' }, image: 'securesql-node:next' })
  await world.settle()
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'StorageGrowthNotSupportedYet'])
  const text = JSON.stringify(await world.object('StatefulSet', 'orders'))
  assert.equal(text.includes('securesql-node:next'), true)
  assert.equal(text.includes('2Gi'), false)
})

test('the same size in another spelling is no growth', async () => {
  await start(world)
  await world.user({ ...spec, storage: { size: '1024Mi' } })
  await world.settle()
  assert.deepEqual(await condition(world, 'Degraded'), ['False', 'AsExpected'])
})

for (const [title, change] of Object.entries({
  'pods are taken away by hand': { spec: { replicas: 1 } },
  'pods are added by hand': { spec: { replicas: 5 } },
  'the note of how many members it was made for is changed': { metadata: { annotations: { 'securesql.dev/replicas': '1' } } },
  'that note is unreadable': { metadata: { annotations: { 'securesql.dev/replicas': 'three' } } },
})) {
  test(`the operator does not scale by what it cannot be sure of: ${title}`, async () => {
    await start(world)
    const metadata = { name: 'orders', namespace: 'shop', ...('metadata' in change ? change.metadata : {}) }
    await world.api.apply({ apiVersion: 'apps/v1', kind: 'StatefulSet', ...change, metadata }, 'kubectl')
    const before = await world.object('StatefulSet', 'orders')
    await world.user({ ...spec, image: 'securesql-node:next' })
    await world.settle()
    assert.deepEqual(await world.object('StatefulSet', 'orders'), before)
    assert.deepEqual(await condition(world, 'Progressing'), ['False', 'MembersUnclear'])
    assert.deepEqual(await condition(world, 'Degraded'), ['True', 'MembersUnclear'])
  })
}

test('a policy that is deleted or widened by hand comes back as it was', async () => {
  await start(world)
  await world.api.remove({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', namespace: 'shop', name: 'orders-deny' }, {})
  const raft = (await world.object('NetworkPolicy', 'orders-raft'))!
  const widened = { ...(raft['spec'] as object), ingress: [{ from: [{ podSelector: {} }] }] }
  await world.api.apply(
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'orders-raft', namespace: 'shop' }, spec: widened },
    'kubectl',
  )
  await world.settle()
  assert.ok(await world.object('NetworkPolicy', 'orders-deny'))
  assert.deepEqual((await world.object('NetworkPolicy', 'orders-raft'))?.['spec'], raft['spec'])
})

test('a client network that leaves the resource leaves the policy', async () => {
  await start(world)
  await world.user({ ...spec, network: { allowedClients: [] } })
  await world.settle()
  const text = JSON.stringify((await world.object('NetworkPolicy', 'orders-api'))?.['spec'])
  assert.equal(text.includes('"app":"shop"'), false)
})

test('an object of that name that belongs to somebody else is not touched, and no pod is started beside it', async () => {
  await secretOf(world, 'reporting-password', { password: 'quarterly' })
  await secretOf(world, 'orders-node-ca', { 'tls.crt': 'theirs', 'tls.key': 'theirs' })
  await world.user(spec)
  await world.settle()
  assert.equal(await textOf(world, 'orders-node-ca', 'tls.key'), 'theirs')
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'NameTaken'])
  assert.match(await message(world, 'Degraded'), /Secret orders-node-ca/)
  assert.equal(await world.object('StatefulSet', 'orders'), undefined)
})

test('a cluster that was deleted and made again takes over nothing of its predecessor', async () => {
  await start(world)
  const before = await textOf(world, 'orders-node-ca', 'tls.key')
  await world.api.remove({ apiVersion: 'securesql.dev/v1alpha1', kind: 'SecureSqlCluster', ...clusterRef }, {})
  assert.deepEqual(await world.pass(), {})
  assert.equal(await world.object('Secret', 'orders-node-ca'), undefined, 'owner references let Kubernetes delete it')
  await world.user(spec)
  await world.settle()
  assert.notEqual(await textOf(world, 'orders-node-ca', 'tls.key'), before)
})

test('leaves are renewed after two thirds of their life, without a new CA and without touching the pods', async () => {
  await start(world)
  const [ca, leaf, pods] = [
    await textOf(world, 'orders-client-ca', 'tls.crt'),
    await textOf(world, 'orders-api-tls', 'tls.crt'),
    await world.object('StatefulSet', 'orders'),
  ]
  world.nowMs += 59 * dayMs
  await world.settle()
  assert.equal(await textOf(world, 'orders-api-tls', 'tls.crt'), leaf)
  world.nowMs += 2 * dayMs
  await world.settle()
  assert.notEqual(await textOf(world, 'orders-api-tls', 'tls.crt'), leaf)
  assert.equal(await textOf(world, 'orders-client-ca', 'tls.crt'), ca)
  assert.deepEqual(await world.object('StatefulSet', 'orders'), pods)
  assert.equal((await statusOf(world)).certificates?.expiresAt, '2027-06-01T00:00:00Z')
})

test('a CA that disappears is not replaced under running members', async () => {
  await start(world)
  const leaf = await textOf(world, 'orders-node-tls', 'tls.crt')
  await world.api.remove({ apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name: 'orders-node-ca' }, {})
  await world.settle()
  assert.deepEqual(await condition(world, 'CertificatesReady'), ['False', 'CertificateAuthorityMissing'])
  assert.match(await message(world, 'CertificatesReady'), /orders-node-ca/)
  assert.equal(await world.object('Secret', 'orders-node-ca'), undefined)
  assert.equal(await textOf(world, 'orders-node-tls', 'tls.crt'), leaf)
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
})

test('another CA in the Secret is not taken while certificates of the former one are in use', async () => {
  await start(world)
  const ca = await world.credentials.issueCa({ authority: 'node', clusterName: 'orders', nowMs: world.nowMs })
  const [leaf, bundle] = [await textOf(world, 'orders-node-tls', 'tls.crt'), await textOf(world, 'orders-node-tls', 'ca.crt')]
  await secretOf(world, 'orders-node-ca', { 'tls.crt': ca.certificatePem, 'tls.key': ca.keyPem })
  world.nowMs += 61 * dayMs
  await world.settle()
  assert.equal(await textOf(world, 'orders-node-tls', 'tls.crt'), leaf)
  assert.equal(await textOf(world, 'orders-node-tls', 'ca.crt'), bundle)
  assert.deepEqual(await condition(world, 'CertificatesReady'), ['False', 'CertificateAuthorityReplaced'])
  assert.match(await message(world, 'CertificatesReady'), /orders-node-ca/)
})

test('a leaf whose key does not fit is issued anew', async () => {
  await start(world)
  await secretOf(world, 'orders-api-tls', { 'tls.key': await textOf(world, 'orders-node-tls', 'tls.key') })
  await world.settle()
  assert.notEqual(await textOf(world, 'orders-api-tls', 'tls.key'), await textOf(world, 'orders-node-tls', 'tls.key'))
})

test('a member that does not answer makes the cluster degraded, two of three make it not ready', async () => {
  await start(world)
  world.answers.delete('orders-2')
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'QuorumReady'])
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'MembersNotReady'])
  assert.deepEqual((await statusOf(world)).members?.[2], { name: 'orders-2', role: 'Unknown', ready: false, message: 'member_unreachable' })
  world.answers.delete('orders-1')
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['False', 'QuorumLost'])
  allReady(world, 3)
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
})

test('when the leader is gone and nobody knows another, there is none', async () => {
  await start(world)
  world.answers.clear()
  for (const name of ['orders-1', 'orders-2']) world.answers.set(name, report(name, { term: 2, role: 'candidate', leader: undefined }))
  await world.settle()
  assert.deepEqual(await condition(world, 'Ready'), ['False', 'NoLeader'])
  assert.equal((await statusOf(world)).leader, undefined)
})

test('of two members that call themselves leader the one of the newer term is', async () => {
  await start(world)
  world.answers.set('orders-0', report('orders-0', { role: 'leader', term: 1 }))
  world.answers.set('orders-1', report('orders-1', { role: 'leader', term: 2, leader: 'orders-1' }))
  await world.settle()
  assert.equal((await statusOf(world)).leader, 'orders-1')
  assert.deepEqual(
    (await statusOf(world)).members?.map((member) => member.role),
    ['Follower', 'Leader', 'Follower'],
  )
})

test('a transition time changes only with the status of its condition', async () => {
  await start(world)
  const before = await transitions()
  world.nowMs += 60_000
  world.answers.delete('orders-2')
  await world.settle()
  const after = await transitions()
  assert.deepEqual(
    after?.filter(([type]) => type !== 'Degraded'),
    before?.filter(([type]) => type !== 'Degraded'),
  )
  assert.equal(after?.find(([type]) => type === 'Degraded')?.[1], '2027-01-01T00:01:00Z')
})

test('a resource that is being deleted, or is not there, is left alone', async () => {
  assert.deepEqual(await world.pass(), {})
  await world.api.create({
    apiVersion: 'securesql.dev/v1alpha1',
    kind: 'SecureSqlCluster',
    metadata: { ...clusterRef, finalizers: ['example.com/held'] },
    spec,
  })
  await world.api.remove({ apiVersion: 'securesql.dev/v1alpha1', kind: 'SecureSqlCluster', ...clusterRef }, {})
  await world.pass()
  assert.deepEqual(world.watched.writes, [])
})
