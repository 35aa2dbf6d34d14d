// The operator may die after any write. Whatever it had done, a new process must come to the same cluster, and at no time may a pod exist before what
// protects it.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import type { KubeObject } from '../kube/kube.ts'
import { parseCluster } from '../resource/parse-cluster.ts'
import { ownedNames } from './observe.ts'
import { allReady, clusterRef, newWorld, secretOf, textOf } from './test-world.ts'
import type { World } from './test-world.ts'

const credentials = new OwnCredentials({ bcryptCost: 4 })
after(() => credentials.close())

const spec = {
  storage: { size: '1Gi' },
  users: [
    { name: 'app', permissions: ['query'] },
    { name: 'reporting', permissions: ['query'], passwordSecret: { name: 'reporting-password' } },
  ],
}
const protections = [
  'NetworkPolicy orders-deny',
  'NetworkPolicy orders-raft',
  'NetworkPolicy orders-api',
  'NetworkPolicy orders-dns',
  'Secret orders-api-tls',
  'Secret orders-node-tls',
  'Secret orders-access',
]

async function begin(): Promise<World> {
  const world = newWorld(credentials)
  await secretOf(world, 'reporting-password', { password: 'quarterly' })
  await world.user(spec)
  allReady(world, 3)
  return world
}

/** Kinds, names and everything that is not random: what two clusters of the same resource have in common. */
async function shapeOf(world: World): Promise<string[]> {
  const kinds = [
    ['v1', 'Secret'],
    ['v1', 'Service'],
    ['v1', 'ServiceAccount'],
    ['networking.k8s.io/v1', 'NetworkPolicy'],
    ['apps/v1', 'StatefulSet'],
    ['policy/v1', 'PodDisruptionBudget'],
  ] as const
  const lists = await Promise.all(kinds.map(([apiVersion, kind]) => world.api.list({ apiVersion, kind }, { namespace: 'shop' })))
  return lists
    .flatMap((list) => (list.ok ? list.value.items : []))
    .map((object) => `${object.kind} ${object.metadata.name} ${JSON.stringify(object['spec'] ?? Object.keys(object['data'] ?? {}))}`)
}

async function writesOfAWholeStart(): Promise<number> {
  const world = await begin()
  await world.settle()
  return world.watched.writes.length
}

for (const when of ['before', 'after'] as const) {
  test(`killed ${when} the k-th write, for every k: a new process comes to the same cluster`, async () => {
    const undisturbed = await begin()
    await undisturbed.settle()
    const wanted = await shapeOf(undisturbed)
    const total = await writesOfAWholeStart()
    assert.ok(total >= 18, `${total} writes`)
    for (let write = 0; write < total; write++) {
      const world = await begin()
      world.watched.failAt = { write, when }
      for (let passes = 0; passes < 4; passes++) await world.pass()
      world.watched.failAt = undefined
      await assertProtected(world)
      await world.settle()
      assert.deepEqual(await shapeOf(world), wanted, `after ${write} writes`)
      await assertFits(world)
      assert.deepEqual(await quiet(world), 0, `after ${write} writes`)
    }
  })
}

async function assertProtected(world: World): Promise<void> {
  if ((await world.object('StatefulSet', 'orders')) === undefined) return
  for (const key of protections) {
    const [kind = '', name = ''] = key.split(' ')
    assert.ok(await world.object(kind, name), `pods exist without ${key}`)
  }
}

/** No half-made credentials survive: the hash is one of the password, and members trust the CA that signed their certificate. */
async function assertFits(world: World): Promise<void> {
  const file = JSON.parse(await textOf(world, 'orders-access', 'access.json')) as { username: string; password?: string }[]
  const hash = file.find((entry) => entry.username === 'app')?.password ?? ''
  assert.equal(await credentials.passwordMatches(await textOf(world, 'orders-user-app', 'password'), hash), true)
  assert.equal(await textOf(world, 'orders-node-tls', 'ca.crt'), await textOf(world, 'orders-node-ca', 'tls.crt'))
  assert.equal(await textOf(world, 'orders-ca-bundle', 'ca.crt'), await textOf(world, 'orders-client-ca', 'tls.crt'))
}

async function quiet(world: World): Promise<number> {
  const before = world.watched.writes.length
  await world.pass()
  return world.watched.writes.length - before
}

test('an operator that lost its Lease in the middle of a pass writes nothing more', async () => {
  const world = await begin()
  const lease = new AbortController()
  const apply = world.watched.kube.apply.bind(world.watched.kube)
  Object.assign(world.watched.kube, {
    apply: async (object: KubeObject, manager: string) => {
      const applied = await apply(object, manager)
      if (world.watched.writes.length === 3) lease.abort()
      return applied
    },
  })
  await world.reconciler().reconcile(clusterRef, lease.signal)
  assert.equal(world.watched.writes.length, 3)
})

test('what a pass looks for is what a cluster consists of', async () => {
  const world = await begin()
  await world.settle()
  const made = new Set(world.watched.writes.filter((write) => write.verb === 'apply').map((write) => write.object))
  const parsed = parseCluster(await world.object('SecureSqlCluster', 'orders'))
  assert.ok(parsed.ok)
  assert.deepEqual(new Set(ownedNames(parsed.value).map(({ kind, name }) => `${kind.kind} ${name}`)), made)
})
