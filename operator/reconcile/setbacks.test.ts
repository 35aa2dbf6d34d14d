// What keeps a write from taking, and that it keeps nothing else from being done.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import type { KubeObject, KubeProblem } from '../kube/kube.ts'
import { condition, entries, message, spec, start } from './questions.ts'
import { clusterRef, newWorld, textOf } from './test-world.ts'
import type { World } from './test-world.ts'

const credentials = new OwnCredentials({ bcryptCost: 4 })
after(() => credentials.close())
const dayMs = 24 * 60 * 60 * 1000

/** Passes of one process over `seconds`, each when the last one asked for it, but at least a second apart when it asked for none in between. */
async function writesOver(world: World, seconds: number): Promise<readonly string[]> {
  const reconciler = world.reconciler()
  const [before, untilMs] = [world.watched.writes.length, world.nowMs + seconds * 1000]
  for (let passes = 0; world.nowMs < untilMs; passes++) {
    assert.ok(passes < 5000, 'passes at full speed')
    const { requeueAfterMs = 1000 } = await reconciler.reconcile(clusterRef)
    // An event of our own write would come at once, too: a pass costs a millisecond here.
    world.nowMs += Math.max(requeueAfterMs, 1)
  }
  return world.watched.writes
    .slice(before)
    .filter((write) => write.verb === 'apply')
    .map((write) => write.object)
}

/** A webhook that says what an object shall be, or what is wrong with it. */
interface Webhook {
  judge: ((object: KubeObject) => KubeObject | KubeProblem) | undefined
}
async function worldWith(webhook: Webhook): Promise<World> {
  const world = newWorld(credentials, (object) => {
    const judged = webhook.judge?.(object) ?? object
    return isProblem(judged) ? fail(judged) : ok(judged)
  })
  await start(world)
  return world
}
function isProblem(judged: KubeObject | KubeProblem): judged is KubeProblem {
  return 'code' in judged
}
const refusing =
  (name: string, code: KubeProblem['code']) =>
  (object: KubeObject): KubeObject | KubeProblem =>
    object.metadata.name === name ? { code, message: 'admission webhook "policy.example.com" denied the request' } : object

function withImage(object: KubeObject, image: string): KubeObject {
  return object.kind === 'StatefulSet' ? (JSON.parse(JSON.stringify(object).replace(/securesql-node:[a-z]+/, image)) as KubeObject) : object
}

test('a webhook that rewrites the image is not written against at full speed, and the user reads which field is contested', async () => {
  const webhook: Webhook = { judge: undefined }
  const world = await worldWith(webhook)
  webhook.judge = (object) => withImage(object, 'securesql-node:mirror')
  await world.user({ ...spec, image: 'securesql-node:next' })
  const writes = await writesOver(world, 600)
  assert.ok(writes.length >= 5 && writes.length <= 20, `${writes.length} writes in ten minutes`)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'Contested'])
  assert.match(await message(world, 'Progressing'), /StatefulSet orders .*spec\.template\.spec\.containers\[0\]\.image/)
  webhook.judge = undefined
  await writesOver(world, 120)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'Settled'])
})

test('two installations that contest an object both slow down', async () => {
  const world = newWorld(credentials)
  await start(world)
  const reconciler = world.reconciler()
  const before = world.watched.writes.length
  for (let seconds = 0; seconds < 300; seconds++) {
    const metadata = { name: 'orders-api', namespace: 'shop' }
    await world.api.apply(
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { policyTypes: ['Ingress'] } },
      'other',
    )
    // One pass for their write and one for ours.
    for (let passes = 0; passes < 2; passes++) await reconciler.reconcile(clusterRef)
    world.nowMs += 1000
  }
  const writes = world.watched.writes.slice(before).filter((write) => write.verb === 'apply')
  assert.ok(writes.length <= 20, `${writes.length} writes in five minutes`)
  world.nowMs += 60_000
  await reconciler.reconcile(clusterRef)
  const policy = (await world.object('NetworkPolicy', 'orders-api'))?.['spec'] as { policyTypes: string[] }
  assert.deepEqual(policy.policyTypes, ['Ingress', 'Egress'], 'the last word is ours')
})

test('a policy that the API server refuses keeps no right from being taken away and no certificate from being renewed', async () => {
  const webhook: Webhook = { judge: undefined }
  const world = await worldWith(webhook)
  webhook.judge = refusing('orders-api', 'invalid')
  const leaf = await textOf(world, 'orders-api-tls', 'tls.crt')
  world.nowMs += 61 * dayMs
  await world.user({ ...spec, users: spec.users.slice(1), network: { allowedClients: [] } })
  await writesOver(world, 60)
  assert.deepEqual(
    (await entries(world)).map((entry) => entry.username),
    ['*', 'securesql-operator', 'reporting'],
  )
  assert.notEqual(await textOf(world, 'orders-api-tls', 'tls.crt'), leaf)
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'ApplyRefused'])
  assert.deepEqual(await condition(world, 'NetworkRestricted'), ['False', 'Blocked'])
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
})

test('a refused object is tried again after a while, and at once when the spec changes', async () => {
  const webhook: Webhook = { judge: undefined }
  const world = await worldWith(webhook)
  webhook.judge = refusing('orders-api', 'forbidden')
  await world.user({ ...spec, network: {} })
  const writes = await writesOver(world, 100)
  assert.ok(writes.length >= 3 && writes.length <= 5, `${writes.length} tries in 100 s`)
  webhook.judge = undefined
  await world.user({ ...spec, network: { allowedClients: [] } })
  await writesOver(world, 1)
  assert.deepEqual(await condition(world, 'Degraded'), ['False', 'AsExpected'])
})

test('a webhook that does not answer stops nothing else, and after a few tries the status says so without changing each time', async () => {
  const webhook: Webhook = { judge: undefined }
  const world = await worldWith(webhook)
  let call = 0
  webhook.judge = (object) =>
    object.kind === 'NetworkPolicy' ? { code: 'unreachable', message: `failed calling webhook, request ${++call}` } : object
  await world.user({ ...spec, users: [], network: {} })
  await writesOver(world, 20)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'ApiServerProblem'])
  assert.match(await message(world, 'Progressing'), /NetworkPolicy orders-api/)
  assert.deepEqual(
    (await entries(world)).map((entry) => entry.username),
    ['*', 'securesql-operator'],
  )
  const before = world.watched.writes.length
  await writesOver(world, 20)
  assert.deepEqual(
    world.watched.writes.slice(before).filter((write) => write.verb === 'applyStatus'),
    [],
  )
  world.answers.delete('orders-2')
  await writesOver(world, 5)
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'QuorumReady'])
  webhook.judge = undefined
  await writesOver(world, 5)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'Settled'])
})

test('reads that are forbidden reach the status after a few tries, and leave it when they are allowed again', async () => {
  const world = newWorld(credentials)
  await start(world)
  const list = world.watched.kube.list.bind(world.watched.kube)
  const reconciler = world.reconciler()
  Object.assign(world.watched.kube, { list: async () => fail({ code: 'forbidden', message: 'no' }) })
  await reconciler.reconcile(clusterRef)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'Settled'], 'once may be an accident')
  for (let passes = 0; passes < 5; passes++) await reconciler.reconcile(clusterRef)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'ApiServerProblem'])
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
  Object.assign(world.watched.kube, { list })
  await reconciler.reconcile(clusterRef)
  assert.deepEqual(await condition(world, 'Progressing'), ['False', 'Settled'])
  assert.deepEqual(await condition(world, 'Degraded'), ['False', 'AsExpected'])
})
